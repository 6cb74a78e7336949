{{/*
The one pod template, for every role, worker group and test. It takes a dict:
  root       the chart's context
  component  scheduler, worker, jupyter or test
  v          the role's values (_roles.tpl)
  group      of a worker
  command    of a test
What is particular to a role (command, ports, env, ...) comes from the template
"aer-dask.<component>.container", in the component's folder.
*/}}
{{- define "aer-dask.podTemplate" -}}
metadata:
  labels:
    {{- include "aer-dask.selectorLabels" . | nindent 4 }}
    {{- with mergeOverwrite (dict) .root.Values.commonLabels .v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $tls := include "aer-dask.tls.podAnnotations" .root | fromYaml }}
  {{- with mergeOverwrite (dict) .root.Values.commonAnnotations .v.podAnnotations (.podAnnotations | default dict) $tls }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "aer-dask.podSpec" . | nindent 2 }}
{{- end }}

{{- define "aer-dask.podSpec" -}}
{{- $v := .v -}}
{{- $own := include (printf "aer-dask.%s.container" .component) . | fromYaml -}}
automountServiceAccountToken: {{ $own.apiAccess | default false }}
serviceAccountName: {{ $own.serviceAccountName | default (include "aer-dask.serviceAccountName" .root) }}
# a Service called dask-something would become variables that Dask takes for settings
enableServiceLinks: false
hostAliases:
  {{- range list "0.0.0.0" "::" }}
  - ip: {{ . | quote }}
    hostnames: [{{ include "aer-dask.allAddresses" $ }}]
  {{- end }}
terminationGracePeriodSeconds: {{ int $v.terminationGracePeriodSeconds }}
{{- range $key, $value := pick $v "affinity" "dnsConfig" "nodeSelector" "priorityClassName" "runtimeClassName" }}
{{- with $value }}
{{ toYaml (dict $key .) }}
{{- end }}
{{- end }}
{{- with include "aer-dask.tolerations" $v }}
tolerations:
  {{- . | trim | nindent 2 }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with pick $own "restartPolicy" "activeDeadlineSeconds" }}
{{ toYaml . }}
{{- end }}
{{- with include "aer-dask.topologySpread" . }}
topologySpreadConstraints:
  {{- . | trim | nindent 2 }}
{{- end }}
{{- with $v.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .component }}
    {{- include "aer-dask.container" (merge (dict "own" $own) .) | nindent 4 }}
  {{- with $v.sidecars }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  - name: tmp
    emptyDir:
      {{- toYaml $v.tmp | nindent 6 }}
  - name: home
    {{- toYaml ($own.home | default (dict "emptyDir" $v.home)) | nindent 4 }}
  {{- if ne (include "aer-dask.tls.mode" .root) "disabled" }}
  - {{- include "aer-dask.tls.volume" .root | nindent 4 }}
  {{- end }}
  {{- if .root.Values.httpAuth.enabled }}
  - {{- include "aer-dask.http.volume" .root | nindent 4 }}
  {{- end }}
  {{- with concat ($own.volumes | default list) $v.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "aer-dask.container" -}}
{{- $v := .v -}}
image: {{ include "aer-dask.image" . | quote }}
imagePullPolicy: {{ include "aer-dask.pullPolicy" . }}
command:
  {{- concat .own.command $v.extraArgs | toYaml | nindent 2 }}
env:
  - name: HOME
    value: /home/aer
  {{- range $name, $value := .root.Values.daskSettings }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- if ne (include "aer-dask.tls.mode" .root) "disabled" }}
  {{- include "aer-dask.tls.env" .root | nindent 2 }}
  {{- end }}
  {{- if .root.Values.httpAuth.enabled }}
  - {{- include "aer-dask.http.env" .root | nindent 4 }}
  {{- end }}
  {{- with concat (.own.env | default list) $v.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with concat (.own.envFrom | default list) $v.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.ports }}
ports:
  {{- range $name, $port := . }}
  - name: {{ $name }}
    containerPort: {{ $port }}
  {{- end }}
{{- end }}
{{- range $key, $value := pick $v "startupProbe" "readinessProbe" "livenessProbe" }}
{{- with $value }}
{{ $key }}:
  {{- tpl (toYaml .) $.root | nindent 2 }}
{{- end }}
{{- end }}
{{- with $v.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
# all that is writable: the root file system is read-only
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: home
    mountPath: /home/aer
  {{- if ne (include "aer-dask.tls.mode" .root) "disabled" }}
  - {{- include "aer-dask.tls.volumeMount" .root | nindent 4 }}
  {{- end }}
  {{- if .root.Values.httpAuth.enabled }}
  - {{- include "aer-dask.http.volumeMount" .root | nindent 4 }}
  {{- end }}
  {{- with concat (.own.volumeMounts | default list) $v.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* A constraint that does not say which pods it counts means the role's own. */}}
{{- define "aer-dask.topologySpread" -}}
{{- $selector := dict "matchLabels" (include "aer-dask.selectorLabels" . | fromYaml) -}}
{{- range .v.topologySpreadConstraints -}}
{{ merge (deepCopy .) (dict "labelSelector" $selector) | list | toYaml }}
{{ end -}}
{{- end }}

{{/* Those that are given, and for how long a lost node is borne, unless these say it themselves. */}}
{{- define "aer-dask.tolerations" -}}
{{- range .tolerations }}
{{ list . | toYaml }}
{{- end }}
{{- if not (kindIs "invalid" .lostNodeSeconds) }}
{{- range $key := list "node.kubernetes.io/not-ready" "node.kubernetes.io/unreachable" }}
{{- $said := false }}
{{- range $.tolerations }}
{{- if and (has (.key | default "") (list "" $key)) (has (.effect | default "") (list "" "NoExecute")) }}
{{- $said = true }}
{{- end }}
{{- end }}
{{- if not $said }}
- key: {{ $key }}
  operator: Exists
  effect: NoExecute
  tolerationSeconds: {{ int $.lostNodeSeconds }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A role's disruption budget. */}}
{{- define "aer-dask.podDisruptionBudget" -}}
{{- with .v.podDisruptionBudget }}
{{- if .enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "aer-dask.metadata" $ | nindent 2 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  selector:
    matchLabels:
      {{- include "aer-dask.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
