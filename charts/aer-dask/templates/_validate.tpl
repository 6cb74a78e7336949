{{/*
Values that are well-formed (values.schema.json sees to that) but cannot work. All that is wrong is
said at once, each in a sentence that tells what to do.
*/}}
{{- define "aer-dask.validate" -}}
{{- $wrong := list -}}
{{- range list "labels" "image" "service" "scheduler" "jupyter" "tls" "networkPolicy" "store" "workers" -}}
{{- $wrong = append $wrong (include (printf "aer-dask.validate.%s" .) $ | trim) -}}
{{- end -}}
{{- with compact $wrong -}}
{{- fail (printf "\n\naer-dask cannot be installed with these values:\n%s\n" (join "\n" .)) -}}
{{- end -}}
{{- end }}

{{/* Asked by every resource, before it looks for values that an older chart did not have. */}}
{{- define "aer-dask.validate.reused" -}}
{{- if not (kindIs "map" .Values.httpAuth) -}}
{{- fail "\n\naer-dask cannot be installed with these values:\n- httpAuth is missing, as it is after --reuse-values from an older chart; take --reset-then-reuse-values, which keeps what you have set, too.\n" -}}
{{- end -}}
{{- end }}

{{- define "aer-dask.validate.labels" -}}
{{- $selecting := dict "root" . "component" "any" "group" "any" | include "aer-dask.selectorLabels" | fromYaml -}}
{{- $given := dict "commonLabels" .Values.commonLabels -}}
{{- range list "pod" "scheduler" "worker" "jupyter" -}}
{{- $_ := set $given (printf "%s.podLabels" .) (index $.Values .).podLabels -}}
{{- end -}}
{{- range $group, $v := .Values.workerGroups -}}
{{- $_ := set $given (printf "workerGroups.%s.podLabels" $group) ($v | default dict).podLabels -}}
{{- end -}}
{{- range $value, $labels := $given }}
{{- range $label, $_ := $labels }}
{{- if hasKey $selecting $label }}
- {{ $value }} sets {{ $label }}, by which the chart tells pods apart; leave it out.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.image" -}}
{{- with .Values.image.digest }}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" .) }}
- image.digest {{ . }} is no digest; give sha256 and a colon and 64 hexadecimal digits, or a tag.
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.service" -}}
{{- range $role := list "scheduler" "jupyter" }}
{{- with (index $.Values $role).service }}
{{- if and .loadBalancerClass (ne .type "LoadBalancer") }}
- {{ $role }}.service.loadBalancerClass is given, but {{ $role }}.service.type is {{ .type }}; set the type to LoadBalancer, or leave the class out.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.scheduler" -}}
{{- with .Values.scheduler.service }}
{{- if and (eq .type "LoadBalancer") (not .loadBalancerSourceRanges) }}
- scheduler.service.type LoadBalancer lets the whole internet run code on the cluster; set scheduler.service.loadBalancerSourceRanges too, or use ClusterIP and kubectl port-forward.
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.jupyter" -}}
{{- with .Values.jupyter }}
{{- if and .auth.token (lt (len .auth.token) 16) }}
- jupyter.auth.token has fewer than 16 characters, and whoever guesses it runs code in the cluster; make it longer, or leave it empty for a random one.
{{- end }}
{{- if not (regexMatch "^/(.*/)?$" .baseUrl) }}
- jupyter.baseUrl {{ .baseUrl }} must begin and end with a slash, as in /lab/.
{{- end }}
{{- if and (or .ingress.enabled .httpRoute.enabled) (not .enabled) }}
- jupyter.ingress and jupyter.httpRoute publish JupyterLab, but jupyter.enabled is false; enable it or disable them.
{{- end }}
{{- if and .ingress.enabled (not .ingress.host) }}
- jupyter.ingress.enabled needs jupyter.ingress.host, the name that users type.
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
- jupyter.httpRoute.enabled needs jupyter.httpRoute.parentRefs, the Gateways to attach to.
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.tls" -}}
{{- with .Values.tls }}
{{- if and (eq .mode "existingSecret") (not .existingSecret) }}
- tls.mode existingSecret needs tls.existingSecret, the name of a Secret with ca.crt, tls.crt and tls.key.
{{- end }}
{{- if and .existingSecret (ne .mode "existingSecret") }}
- tls.existingSecret is given, but tls.mode is {{ .mode | default "empty" }}; set tls.mode to existingSecret, or leave the Secret out.
{{- end }}
{{- if and (eq .mode "certManager") (not .issuerRef.name) }}
- tls.mode certManager needs tls.issuerRef.name, the Issuer or ClusterIssuer that signs.
{{- end }}
{{- if ge (trimSuffix "h" .renewBefore | int) (trimSuffix "h" .duration | int) }}
- tls.renewBefore {{ .renewBefore }} is not shorter than tls.duration {{ .duration }}; make it shorter.
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.networkPolicy" -}}
{{- with .Values.networkPolicy }}
{{- if .enabled }}
{{- $clients := .allowFrom }}
{{- $prometheus := or .allowFrom .metricsFrom }}
{{- with $.Values.scheduler.service }}
{{- if and (ne .type "ClusterIP") (not $clients) }}
- scheduler.service.type {{ .type }} publishes the scheduler, but networkPolicy keeps everybody out; add the clients to networkPolicy.allowFrom, as in ipBlock: {cidr: 10.0.0.0/8}.
{{- end }}
{{- end }}
{{- with $.Values.metrics }}
{{- if and (or .serviceMonitor.enabled .podMonitor.enabled) (not $prometheus) }}
- metrics.serviceMonitor and metrics.podMonitor have Prometheus scrape pods, but networkPolicy keeps it out; add it to networkPolicy.metricsFrom, as in namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.store" -}}
{{- $url := include "aer-dask.store.url" . -}}
{{- with .Values.store }}
{{- if and (or $url .existingSecret) (not $.Values.jupyter.enabled) }}
- store is where notebooks keep results, but jupyter.enabled is false; enable it, or give clients elsewhere their store themselves.
{{- end }}
{{- if and .url (not (regexMatch "^[a-z][a-z0-9+.-]*://." .url)) }}
- store.url {{ .url }} is no URL; give one such as s3://bucket/prefix, or leave it empty and enable store.persistence.
{{- end }}
{{- if and .existingSecret (not $url) }}
- store.existingSecret is given, but no store; set store.url or store.persistence.enabled, or leave the Secret out.
{{- end }}
{{- if and .persistence.enabled (not (regexMatch "^file:///data/aer(/|$)" $url)) }}
- store.persistence mounts a volume at /data/aer, which store.url {{ .url }} does not use; leave one of them out.
{{- end }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.workers" -}}
{{- if not .Values.workerGroups }}
- workerGroups is empty, so no worker would run; leave it out for the default group.
{{- end }}
{{- range $group, $_ := .Values.workerGroups }}
{{- include "aer-dask.validate.worker" (dict "root" $ "group" $group) }}
{{- end }}
{{- end }}

{{- define "aer-dask.validate.worker" -}}
{{- $v := include "aer-dask.worker.role" . | fromYaml -}}
{{- $limits := $v.resources.limits | default dict -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$" .group) }}
- workerGroups.{{ .group }} names pods, so it must be at most 20 lower-case letters, digits and hyphens that begin with a letter.
{{- end }}
{{- if not $limits.memory }}
- worker group {{ .group }} has no resources.limits.memory, which tells Aer and Dask how much a worker may use; set it.
{{- end }}
{{- if not (or $limits.cpu $v.threads) }}
- worker group {{ .group }} has no resources.limits.cpu, which gives Aer's number of threads; set it, or set threads.
{{- end }}
{{- with $v.autoscaling }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
- worker group {{ $.group }} has autoscaling.minReplicas {{ .minReplicas }} above autoscaling.maxReplicas {{ .maxReplicas }}; swap or change them.
{{- end }}
{{- if and .enabled (not .metrics) (not (or $limits.cpu ($v.resources.requests).cpu)) }}
- worker group {{ $.group }} scales on CPU in percent of resources.requests.cpu, which is not set; set it, or give autoscaling.metrics.
{{- end }}
{{- end }}
{{- end }}
