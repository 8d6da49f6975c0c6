{{/* The name of the Java operator's chart, on purpose: Deployment and selector stay the same over `helm upgrade`. */}}
{{- define "drey-operator.name" -}}
{{- default "flink-kubernetes-operator" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "drey-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "drey-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "drey-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "drey-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "drey-operator.name" . }}
{{- end }}

{{- define "drey-operator.labels" -}}
{{ include "drey-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* "true" when the values name the image of the Java operator, which has no drey in it. */}}
{{- define "drey-operator.imageIsUpstream" -}}
{{- if hasSuffix "apache/flink-kubernetes-operator" .Values.image.repository }}true{{ end }}
{{- end }}

{{- define "drey-operator.image" -}}
{{- if include "drey-operator.imageIsUpstream" . }}drey:{{ .Chart.AppVersion }}
{{- else if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "drey-operator.serviceAccountName" -}}
{{- if .Values.operatorServiceAccount.create }}
{{- default (include "drey-operator.fullname" .) .Values.operatorServiceAccount.name }}
{{- else }}
{{- default "default" .Values.operatorServiceAccount.name }}
{{- end }}
{{- end }}

{{- define "drey-operator.jobServiceAccountName" -}}
{{- if .Values.jobServiceAccount.create }}
{{- default (include "drey-operator.fullname" .) .Values.jobServiceAccount.name }}
{{- else }}
{{- default "default" .Values.jobServiceAccount.name }}
{{- end }}
{{- end }}

{{/* The kind of a role by its values. One that is not made here and has a colon in its name is a ClusterRole, as with
the chart of the Java operator. */}}
{{- define "drey-operator.roleKind" -}}
{{- if and (not .create) (contains ":" .name) }}ClusterRole{{ else }}Role{{ end }}
{{- end }}

{{/* The namespaces whose jobs run under the account of jobs. */}}
{{- define "drey-operator.jobNamespaces" -}}
{{- default (list .Release.Namespace) .Values.watchNamespaces | toJson }}
{{- end }}

{{/* "true" when replicas, or two pods during an update, need a leader. */}}
{{- define "drey-operator.election" -}}
{{- if kindIs "bool" .Values.leaderElection.enabled }}
{{- if .Values.leaderElection.enabled }}true{{ end }}
{{- else if or (gt (int .Values.replicas) 1) (ne .Values.strategy.type "Recreate") }}true{{ end }}
{{- end }}

{{- define "drey-operator.metricsPort" -}}
{{- default 9999 .Values.metrics.port | int }}
{{- end }}

{{/* "true" when the webhook validates. */}}
{{- define "drey-operator.webhook.validator" -}}
{{- $webhook := .Values.webhook }}
{{- if ternary (default dict $webhook.validator).create $webhook.create (hasKey $webhook "validator") }}true{{ end }}
{{- end }}

{{/* "true" when the webhook mutates. */}}
{{- define "drey-operator.webhook.mutator" -}}
{{- $webhook := .Values.webhook }}
{{- if ternary (default dict $webhook.mutator).create $webhook.create (hasKey $webhook "mutator") }}true{{ end }}
{{- end }}

{{/* "true" when the webhook is asked for. */}}
{{- define "drey-operator.webhook" -}}
{{- if or (include "drey-operator.webhook.validator" .) (include "drey-operator.webhook.mutator" .) }}true{{ end }}
{{- end }}

{{- define "drey-operator.webhook.port" -}}
9443
{{- end }}

{{/* The Secret that is mounted; empty when drey makes its own certificate. */}}
{{- define "drey-operator.webhook.secretName" -}}
{{- $certificate := default dict .Values.webhook.certificate }}
{{- if and $certificate.injectCaFrom (not $certificate.secretName) }}
{{- fail "`webhook.certificate.injectCaFrom` is set without `webhook.certificate.secretName`: name the Secret that this Certificate of cert-manager writes, or leave both empty for a certificate of drey's own making" }}
{{- end }}
{{- default "" $certificate.secretName }}
{{- end }}

{{/* "true" when drey makes the certificate of the webhook. */}}
{{- define "drey-operator.webhook.ownCertificate" -}}
{{- if and (include "drey-operator.webhook" .) (not (include "drey-operator.webhook.secretName" .)) }}true{{ end }}
{{- end }}

{{- define "drey-operator.policy.name" -}}
flink-operator-{{ .Release.Namespace }}-policy
{{- end }}

{{/* Metadata of both webhook configurations. drey knows them by this name. */}}
{{- define "drey-operator.webhook.metadata" -}}
name: flink-operator-{{ .Release.Namespace }}-webhook-configuration
labels:
  {{- include "drey-operator.labels" . | nindent 2 }}
{{- if include "drey-operator.webhook.secretName" . }}
{{- with .Values.webhook.certificate.injectCaFrom }}
annotations:
  cert-manager.io/inject-ca-from: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What both configurations ask in the same way, by the name, the path and the resources. `caBundle` is left to whoever has made
the certificate. */}}
{{- define "drey-operator.webhook.entry" -}}
name: {{ .name }}.flink.apache.org
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: flink-operator-webhook-service
    namespace: {{ .context.Release.Namespace }}
    path: {{ .path }}
    port: 443
failurePolicy: Fail
sideEffects: None
rules:
  - apiGroups: [flink.apache.org]
    apiVersions: ["*"]
    scope: Namespaced
    operations: [CREATE, UPDATE]
    resources:
      {{- toYaml .resources | nindent 6 }}
{{- with .context.Values.watchNamespaces }}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
        {{- toYaml . | nindent 8 }}
{{- end }}
{{- end }}

{{/* Where pods are put, for the Deployment and the hook alike. */}}
{{- define "drey-operator.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operatorPod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.operatorPod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operatorPod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operatorPod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operatorPod.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.operatorPod.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
