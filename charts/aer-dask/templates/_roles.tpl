{{/*
The values of a role: `pod`, with the given maps over it. As YAML, to be read back by fromYaml,
since a named template can only return text.
*/}}
{{- define "aer-dask.role" -}}
{{- $merged := deepCopy .root.Values.pod -}}
{{- range .over }}{{ $merged = mergeOverwrite $merged (deepCopy (. | default dict)) }}{{ end -}}
{{- toYaml $merged -}}
{{- end }}

{{- define "aer-dask.worker.role" -}}
{{- $over := list .root.Values.worker (index .root.Values.workerGroups .group) -}}
{{- include "aer-dask.role" (dict "root" .root "over" $over) -}}
{{- end }}
