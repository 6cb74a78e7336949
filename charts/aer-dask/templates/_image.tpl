{{/*
The image of a role: `image` with the role's own keys over it. A digest names one image, so a role
with another repository or suffix does not inherit it.
*/}}
{{- define "aer-dask.image" -}}
{{- $own := .v.image | default dict -}}
{{- $image := mergeOverwrite (deepCopy .root.Values.image) $own -}}
{{- $other := or $own.repository $own.suffix $own.tag -}}
{{- $digest := ternary $own.digest $image.digest (not (empty $other)) -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository }}{{ $image.suffix -}}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "aer-dask.pullPolicy" -}}
{{ (.v.image).pullPolicy | default .root.Values.image.pullPolicy }}
{{- end }}
