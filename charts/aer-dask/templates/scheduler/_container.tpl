{{/* What is particular to the scheduler's container. */}}
{{- define "aer-dask.scheduler.container" -}}
command: [dask, scheduler, --port, "8786", --dashboard-address, ":8787"]
ports:
  comm: 8786
  http: 8787
{{- end }}
