{{/* Every name the chart gives, each in one place. */}}

{{/*
Cut so that the longest name made from it is still a valid Service name (63 characters). A hash then
stands for what is cut off: two releases may differ there.
*/}}
{{- define "aer-dask.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = .Values.fullnameOverride | default $full -}}
{{- if gt (len $full) 45 -}}
{{- $full = printf "%s-%s" (trunc 36 $full | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- end -}}
{{- $full -}}
{{- end }}

{{- define "aer-dask.scheduler.name" -}}
{{ include "aer-dask.fullname" . }}-scheduler
{{- end }}

{{- define "aer-dask.scheduler.address" -}}
{{ include "aer-dask.tls.scheme" . }}://{{ include "aer-dask.scheduler.name" . }}:8786
{{- end }}

{{/*
In a pod, a name of the wildcard addresses 0.0.0.0 and ::, for Dask's HTTP server: by itself it listens
on IPv4 alone, and it does not take an IPv6 address.
*/}}
{{- define "aer-dask.allAddresses" -}}
all-addresses
{{- end }}

{{- define "aer-dask.jupyter.name" -}}
{{ include "aer-dask.fullname" . }}-jupyter
{{- end }}

{{- define "aer-dask.jupyter.secretName" -}}
{{ .Values.jupyter.auth.existingSecret | default (include "aer-dask.jupyter.name" .) }}
{{- end }}

{{- define "aer-dask.jupyter.secretKey" -}}
{{ ternary .Values.jupyter.auth.existingSecretKey "token" (not (empty .Values.jupyter.auth.existingSecret)) }}
{{- end }}

{{- define "aer-dask.store.claim" -}}
{{ .Values.store.persistence.existingClaim | default (printf "%s-store" (include "aer-dask.fullname" .)) }}
{{- end }}

{{- define "aer-dask.store.url" -}}
{{ .Values.store.url | default (ternary "file:///data/aer" "" .Values.store.persistence.enabled) }}
{{- end }}

{{- define "aer-dask.serviceAccountName" -}}
{{- $own := ternary (include "aer-dask.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $own -}}
{{- end }}
