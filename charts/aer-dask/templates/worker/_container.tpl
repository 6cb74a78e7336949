{{/*
What is particular to a worker's container. One task at a time: Aer uses the threads itself.
A null `threads` is Aer's CPU limit, and the memory is the memory limit, both read from the pod's
own limits, so that they cannot disagree.
*/}}
{{- define "aer-dask.worker.container" -}}
command:
  - dask
  - worker
  - {{ include "aer-dask.scheduler.address" .root }}
  # the brackets belong to IPv6, and Dask takes them for IPv4 too. Left to itself it would look for an
  # IPv4 address, and where there is none go by 127.0.0.1
  - --host
  - "[$(POD_IP)]"
  - --nthreads
  - "1"
  - --memory-limit
  - $(MEMORY_LIMIT)
  - --name
  - $(POD_NAME)
  - --dashboard-address
  - {{ include "aer-dask.allAddresses" . }}:8787
  {{- if .root.Values.httpAuth.enabled }}
  - --preload
  - aer_dask.gate
  {{- end }}
  - --preload
  - aer_dask.worker
  # so that a pod of another version than the scheduler's ends with status 78, and one that is to go
  # finishes its task first and leaves its results with other workers
  - --preload-nanny
  - aer_dask.worker
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  - name: MEMORY_LIMIT
    valueFrom:
      resourceFieldRef:
        resource: limits.memory
  - name: AER_DASK_THREADS
    {{- if .v.threads }}
    value: {{ .v.threads | quote }}
    {{- else }}
    valueFrom:
      resourceFieldRef:
        resource: limits.cpu
    {{- end }}
ports:
  http: 8787
{{- end }}

{{- define "aer-dask.worker.name" -}}
{{ include "aer-dask.fullname" .root }}-worker-{{ .group }}
{{- end }}
