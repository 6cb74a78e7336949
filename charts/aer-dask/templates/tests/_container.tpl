{{/* What is particular to a test pod: its command, from the list in tests/pods.yaml. */}}
{{- define "aer-dask.test.container" -}}
restartPolicy: Never
activeDeadlineSeconds: {{ int .root.Values.tests.timeoutSeconds }}
command:
  {{- toYaml .command | nindent 2 }}
env:
  - name: SCHEDULER
    value: {{ include "aer-dask.scheduler.address" .root }}
  - name: RELEASE
    value: {{ .root.Release.Name }}
  - name: NAMESPACE
    value: {{ .root.Release.Namespace }}
  {{- if .root.Values.jupyter.enabled }}
  - name: JUPYTER
    value: http://{{ include "aer-dask.jupyter.name" .root }}{{ .root.Values.jupyter.baseUrl }}
  {{- end }}
{{- end }}
