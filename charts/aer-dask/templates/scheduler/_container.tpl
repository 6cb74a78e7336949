{{/*
What is particular to the scheduler's container. It has no --host: it listens on all addresses, since
`kubectl port-forward` ends at localhost, and is connected to by its Service's name.
*/}}
{{- define "aer-dask.scheduler.container" -}}
command:
  - dask
  - scheduler
  - --port
  - "8786"
  - --dashboard-address
  - {{ include "aer-dask.allAddresses" . }}:8787
  {{- if .root.Values.httpAuth.enabled }}
  - --preload
  - aer_dask.gate
  {{- end }}
ports:
  comm: 8786
  http: 8787
{{- end }}
