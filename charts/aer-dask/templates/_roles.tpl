{{/*
The values of a role: `pod`, with the given maps over it. As YAML, to be read back by fromYaml,
since a named template can only return text.
*/}}
{{- define "aer-dask.role" -}}
{{- $merged := deepCopy .root.Values.pod -}}
{{- range .over -}}
{{- $over := deepCopy (. | default dict) -}}
{{- $env := include "aer-dask.addedEnv" (list $merged.extraEnv $over.extraEnv) | fromYamlArray -}}
{{- $merged = set (mergeOverwrite $merged $over) "extraEnv" $env -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end }}

{{/* Environment variables, the second list's after the first's; of one name, the second's only. */}}
{{- define "aer-dask.addedEnv" -}}
{{- $first := index . 0 | default list -}}
{{- $second := index . 1 | default list -}}
{{- $replaced := list -}}
{{- range $second }}{{ $replaced = append $replaced .name }}{{ end -}}
{{- $all := list -}}
{{- range $first }}{{ if not (has .name $replaced) }}{{ $all = append $all . }}{{ end }}{{ end -}}
{{- concat $all $second | toYaml -}}
{{- end }}

{{- define "aer-dask.worker.role" -}}
{{- $over := list .root.Values.worker (index .root.Values.workerGroups .group) -}}
{{- include "aer-dask.role" (dict "root" .root "over" $over) -}}
{{- end }}
