{{/*
Which certificate the release has. What has to be looked up or drawn is so once in a rendering, and kept
as .tls of the root, or each template would have another certificate.
*/}}

{{/*
The value tls.mode, and if that is empty `generated`; but a release that was installed without TLS
stays so, because its clients know nothing of a certificate.
*/}}
{{- define "aer-dask.tls.mode" -}}
{{- include "aer-dask.tls.settle" . -}}
{{- .tls.mode -}}
{{- end }}

{{/* The Secret's data in mode `generated`: what is in use, so that an upgrade keeps it. */}}
{{- define "aer-dask.tls.data" -}}
{{- include "aer-dask.tls.settle" . -}}
{{- toYaml .tls.data -}}
{{- end }}

{{/* When that certificate ends. */}}
{{- define "aer-dask.tls.end" -}}
{{- include "aer-dask.tls.settle" . -}}
{{- .tls.end -}}
{{- end }}

{{- define "aer-dask.tls.endAnnotation" -}}
aer-dask/certificate-ends
{{- end }}

{{/* The days that are left, if they are fewer than 90. */}}
{{- define "aer-dask.tls.daysLeft" -}}
{{- if eq (include "aer-dask.tls.mode" .) "generated" -}}
{{- $end := include "aer-dask.tls.end" . | toDate "2006-01-02T15:04:05Z07:00" -}}
{{- $days := div (sub (unixEpoch $end | int64) (now | unixEpoch | int64)) 86400 -}}
{{- if lt $days 90 }}{{ max 0 $days }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "aer-dask.tls.settle" -}}
{{- if not (hasKey . "tls") -}}
{{- $mode := .Values.tls.mode -}}
{{- if not $mode -}}
{{- $scheduler := lookup "apps/v1" "Deployment" .Release.Namespace (include "aer-dask.scheduler.name" .) -}}
{{- $open := and $scheduler (not (contains "REQUIRE_ENCRYPTION" (toJson $scheduler))) -}}
{{- $mode = ternary "disabled" "generated" (not (empty $open)) -}}
{{- end -}}
{{- $tls := dict "mode" $mode -}}
{{- $_ := set . "tls" $tls -}}
{{- if eq $mode "generated" -}}
{{- /* `helm template` and dry runs on the client find none */}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (include "aer-dask.tls.secretName" .) -}}
{{- $format := "2006-01-02T15:04:05Z07:00" -}}
{{- $made := dig "metadata" "creationTimestamp" "" $secret | default (now | date $format) -}}
{{- $noted := dig "metadata" "annotations" (include "aer-dask.tls.endAnnotation" .) "" $secret -}}
{{- $end := dateInZone $format (toDate $format $made | dateModify "87600h") "UTC" -}}
{{- $_ := set $tls "end" ($noted | default $end) -}}
{{- $_ := set $tls "data" ($secret.data | default (include "aer-dask.tls.generated" . | fromYaml)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The authority's own key is not kept: it has no second certificate to sign. */}}
{{- define "aer-dask.tls.generated" -}}
{{- $scheduler := include "aer-dask.scheduler.name" . -}}
{{- $authority := genCAWithKey (include "aer-dask.tls.secretName" .) 3650 (genPrivateKey "ecdsa") -}}
{{- $names := list $scheduler "localhost" -}}
{{- $certificate := genSignedCertWithKey $scheduler nil $names 3650 $authority (genPrivateKey "ecdsa") -}}
ca.crt: {{ b64enc $authority.Cert }}
tls.crt: {{ b64enc $certificate.Cert }}
tls.key: {{ b64enc $certificate.Key }}
{{- end }}
