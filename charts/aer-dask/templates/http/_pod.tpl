{{/*
The token that scheduler and workers want at their HTTP ports (aer_dask/gate.py), as a file: one that
is changed counts without a restart. JupyterLab's proxy and `helm test` show it.
*/}}

{{- define "aer-dask.http.folder" -}}
/etc/aer-dask/http
{{- end }}

{{- define "aer-dask.http.secretName" -}}
{{ .Values.httpAuth.existingSecret | default (printf "%s-http" (include "aer-dask.fullname" .)) }}
{{- end }}

{{- define "aer-dask.http.secretKey" -}}
{{ ternary .Values.httpAuth.existingSecretKey "token" (not (empty .Values.httpAuth.existingSecret)) }}
{{- end }}

{{- define "aer-dask.http.env" -}}
name: AER_DASK_HTTP_TOKEN_FILE
value: {{ include "aer-dask.http.folder" . }}/token
{{- end }}

{{- define "aer-dask.http.volume" -}}
name: http
secret:
  secretName: {{ include "aer-dask.http.secretName" . }}
  items:
    - key: {{ include "aer-dask.http.secretKey" . }}
      path: token
  # for the pod's group, and nobody else
  defaultMode: 0440
{{- end }}

{{- define "aer-dask.http.volumeMount" -}}
name: http
mountPath: {{ include "aer-dask.http.folder" . }}
readOnly: true
{{- end }}

{{/* How Prometheus' operator is told to show it. */}}
{{- define "aer-dask.http.authorization" -}}
{{- if .Values.httpAuth.enabled -}}
authorization:
  type: Bearer
  credentials:
    name: {{ include "aer-dask.http.secretName" . }}
    key: {{ include "aer-dask.http.secretKey" . }}
{{- end }}
{{- end }}
