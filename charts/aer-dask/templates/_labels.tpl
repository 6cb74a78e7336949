{{/*
Labels. They take the dict that describes a role: root, component and, for workers, group.
A worker group's name is part of the selector: an autoscaler or disruption budget of one group
must not count another's pods.
*/}}

{{- define "aer-dask.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .group }}
aer-dask/worker-group: {{ . }}
{{- end }}
{{- end }}

{{/* A version may hold a plus and be long, the value of a label not. */}}
{{- define "aer-dask.labelValue" -}}
{{ . | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{/* The metadata of a resource; `annotations` in the dict are its own, besides the common ones. */}}
{{- define "aer-dask.metadata" -}}
{{- include "aer-dask.validate.reused" .root -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "aer-dask.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/version: {{ include "aer-dask.labelValue" .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | include "aer-dask.labelValue" }}
  {{- with mergeOverwrite (dict) .root.Values.commonLabels (.labels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
