{{/*
The configuration of drey, as one file. Where the values bring keys of their own, those count before the chart's,
except for what other parts of the chart rely on: the watched namespaces and the port of the probes.
*/}}

{{/* What the values ask for outside of the files, so that keys in the files count before it. */}}
{{- define "drey-operator.configuration.before" -}}
{{- if .Values.defaultConfiguration.append }}
{{- .Files.Get "conf/flink-conf.yaml" }}
{{- end }}
{{- if include "drey-operator.election" . }}
kubernetes.operator.leader-election.enabled: true
kubernetes.operator.leader-election.lease-name: {{ .Values.leaderElection.leaseName }}
{{- end }}
{{- with .Values.metrics.port }}
kubernetes.operator.metrics.reporter.prom.port: {{ int . }}
{{- end }}
{{- end }}

{{- define "drey-operator.configuration.after" -}}
{{- with .Values.watchNamespaces }}
kubernetes.operator.watched.namespaces: {{ join "," . }}
{{- end }}
{{- with .Values.operatorHealth }}
kubernetes.operator.health.probe.enabled: true
kubernetes.operator.health.probe.port: {{ int .port }}
{{- end }}
{{- end }}

{{/* In the flat form the last of several lines with one key counts. */}}
{{- define "drey-operator.configuration.flat" -}}
{{ include "drey-operator.configuration.before" . | trim }}
{{- with index .Values.defaultConfiguration "flink-conf.yaml" }}
{{ . | trim }}
{{- end }}
{{- include "drey-operator.configuration.after" . }}
{{- end }}

{{/* The nested form may not have a key twice, neither nested nor with dots: everything becomes keys with dots. */}}
{{- define "drey-operator.configuration.nested" -}}
{{- $tree := fromYaml (index .Values.defaultConfiguration "config.yaml") }}
{{- if and (hasKey $tree "Error") (eq (len $tree) 1) }}
{{- fail (printf "`defaultConfiguration.config.yaml` is not YAML with keys and values: %s" $tree.Error) }}
{{- end }}
{{- $merged := fromYaml (include "drey-operator.configuration.before" .) }}
{{- $given := fromYaml (include "drey-operator.configuration.flattened" (dict "prefix" "" "tree" $tree)) }}
{{- $last := fromYaml (include "drey-operator.configuration.after" .) }}
{{- range $key, $value := mergeOverwrite $merged $given $last }}
{{ $key | quote }}: {{ toJson $value }}
{{- end }}
{{- end }}

{{- define "drey-operator.configuration.flattened" -}}
{{- $prefix := .prefix }}
{{- range $key, $value := .tree }}
{{- $path := printf "%s%s" $prefix $key }}
{{- if kindIs "map" $value }}
{{- include "drey-operator.configuration.flattened" (dict "prefix" (printf "%s." $path) "tree" $value) }}
{{- else }}
{{ $path | quote }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* `flink-conf.yaml` counts where the values bring both, as with the chart of the Java operator. */}}
{{- define "drey-operator.configuration.file" -}}
{{- $flat := index .Values.defaultConfiguration "flink-conf.yaml" }}
{{- $nested := index .Values.defaultConfiguration "config.yaml" }}
{{- if and $nested (not $flat) }}config.yaml{{ else }}flink-conf.yaml{{ end }}
{{- end }}

{{- define "drey-operator.configuration" -}}
{{- if eq (include "drey-operator.configuration.file" .) "config.yaml" }}
{{- include "drey-operator.configuration.nested" . }}
{{- else }}
{{- include "drey-operator.configuration.flat" . }}
{{- end }}
{{- end }}
