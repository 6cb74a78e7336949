{{/*
What TLS adds to every pod: the certificate, and the settings by which Dask uses it. Every process
shows the same one, since Dask trusts whoever shows one of the release's authority.
*/}}

{{- define "aer-dask.tls.folder" -}}
/etc/aer-dask/tls
{{- end }}

{{/* How Dask's addresses begin. */}}
{{- define "aer-dask.tls.scheme" -}}
{{ ternary "tcp" "tls" (eq (include "aer-dask.tls.mode" .) "disabled") }}
{{- end }}

{{/*
cert-manager's has a name of its own: it is not the release's, and Helm would delete that of mode
`generated` under cert-manager's hands, or take cert-manager's for its own.
*/}}
{{- define "aer-dask.tls.secretName" -}}
{{- $ours := printf "%s-tls" (include "aer-dask.fullname" .) -}}
{{- if eq .Values.tls.mode "certManager" }}{{ $ours = printf "%s-certmanager" $ours }}{{ end -}}
{{ .Values.tls.existingSecret | default $ours }}
{{- end }}

{{- define "aer-dask.tls.env" -}}
{{- $folder := include "aer-dask.tls.folder" . -}}
# without this, Dask would take the certificates and go on to speak TCP
- name: DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION
  value: "true"
# of an address that does not say
- name: DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME
  value: tls
- name: DASK_DISTRIBUTED__COMM__TLS__CA_FILE
  value: {{ $folder }}/ca.crt
{{- range list "SCHEDULER" "WORKER" "CLIENT" }}
- name: DASK_DISTRIBUTED__COMM__TLS__{{ . }}__CERT
  value: {{ $folder }}/tls.crt
- name: DASK_DISTRIBUTED__COMM__TLS__{{ . }}__KEY
  value: {{ $folder }}/tls.key
{{- end }}
{{- end }}

{{- define "aer-dask.tls.volume" -}}
name: tls
secret:
  secretName: {{ include "aer-dask.tls.secretName" . }}
  # for the pod's group, and nobody else
  defaultMode: 0440
{{- end }}

{{- define "aer-dask.tls.volumeMount" -}}
name: tls
mountPath: {{ include "aer-dask.tls.folder" . }}
readOnly: true
{{- end }}

{{/* Pods read a certificate when they start: another end is another certificate, and restarts them all. */}}
{{- define "aer-dask.tls.podAnnotations" -}}
{{- if eq (include "aer-dask.tls.mode" .) "generated" -}}
{{ include "aer-dask.tls.endAnnotation" . }}: {{ include "aer-dask.tls.end" . | quote }}
{{- end }}
{{- end }}
