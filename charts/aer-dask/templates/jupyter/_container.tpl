{{/*
What HelmCluster asks of the API server to scale the workers of its release: the scale of their
Deployments, and their autoscalers, by name. What is listed or made has no name in a rule.
*/}}
{{- define "aer-dask.jupyter.scalingRules" -}}
{{- $names := list -}}
{{- range $group := keys .Values.workerGroups | sortAlpha -}}
{{- $names = append $names (include "aer-dask.worker.name" (dict "root" $ "group" $group)) -}}
{{- end -}}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list]
- apiGroups: [apps]
  resources: [deployments/scale]
  resourceNames: {{ toJson $names }}
  verbs: [patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, create]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  resourceNames: {{ toJson $names }}
  verbs: [get, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}

{{/*
What is particular to JupyterLab's container. The scheduler's dashboard, which knows no login, is
reached through JupyterLab's proxy and so behind its token.
*/}}
{{- define "aer-dask.jupyter.container" -}}
{{- $jupyter := .root.Values.jupyter -}}
{{- $scheduler := include "aer-dask.scheduler.name" .root -}}
command:
  - jupyter
  - lab
  # all addresses, of IPv4 and IPv6
  - --ip=*
  - --port=8888
  - --no-browser
  - --ServerApp.base_url={{ $jupyter.baseUrl }}
  - --ServerProxy.host_allowlist={{ list "localhost" "127.0.0.1" $scheduler | toJson }}
env:
  - name: JUPYTER_TOKEN
    valueFrom:
      secretKeyRef:
        name: {{ include "aer-dask.jupyter.secretName" .root }}
        key: {{ include "aer-dask.jupyter.secretKey" .root }}
  # the address that Client() connects to when none is given
  - name: DASK_SCHEDULER_ADDRESS
    value: {{ include "aer-dask.scheduler.address" .root }}
  # and the release that HelmCluster() takes
  - name: AER_DASK_RELEASE
    value: {{ .root.Release.Name }}
  {{- if $jupyter.rbac.create }}
  # and the image of the pods of KubeCluster()
  - name: DASK_KUBERNETES__IMAGE
    value: {{ include "aer-dask.image" (dict "root" .root "v" .root.Values.worker) }}
  {{- end }}
  - name: DASK_DISTRIBUTED__DASHBOARD__LINK
    value: {{ $jupyter.baseUrl }}proxy/{host}:{port}/status
  {{- with include "aer-dask.store.url" .root }}
  - name: DASK_AER_DASK__STORE
    value: {{ . | quote }}
  {{- end }}
{{- with .root.Values.store.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
ports:
  http: 8888
{{- if or $jupyter.rbac.create $jupyter.rbac.scaling }}
apiAccess: true
serviceAccountName: {{ include "aer-dask.jupyter.name" .root }}
{{- end }}
{{- if .root.Values.store.persistence.enabled }}
volumes:
  - name: store
    persistentVolumeClaim:
      claimName: {{ include "aer-dask.store.claim" .root }}
volumeMounts:
  - name: store
    mountPath: /data/aer
{{- end }}
{{- if $jupyter.persistence.enabled }}
home:
  persistentVolumeClaim:
    claimName: {{ $jupyter.persistence.existingClaim | default (include "aer-dask.jupyter.name" .root) }}
{{- end }}
{{- end }}
