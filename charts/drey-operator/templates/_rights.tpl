{{/* The rights of drey: docs/rights.md, of which every line is here and nothing else; and those of its dashboard, where there
is one (docs/dashboard.md). */}}

{{- define "drey-operator.rights.watched" -}}
- apiGroups: [flink.apache.org]
  resources: [flinkdeployments]
  verbs: [get, list, watch, patch]
- apiGroups: [flink.apache.org]
  resources: [flinkdeployments/status, flinkdeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, update]
- apiGroups: [""]
  resources: [services/proxy]
  verbs: [get, create, patch]
{{- if .Values.dashboard.enabled }}
{{ include "drey-operator.rights.dashboard" . }}
{{- end }}
{{- end }}

{{/* What the dashboard looks at with the operator's own rights. People who sign in see and do the rest with theirs. */}}
{{- define "drey-operator.rights.dashboard" -}}
- apiGroups: [flink.apache.org]
  resources: [flinksessionjobs, flinkbluegreendeployments, flinkstatesnapshots]
  verbs: [get, list, watch]
{{- if eq .Values.dashboard.login "none" }}
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
{{- end }}

{{- define "drey-operator.rights.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- if include "drey-operator.webhook.ownCertificate" . }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update]
{{- end }}
{{- end }}

{{- define "drey-operator.rights.cluster" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get]
{{- if include "drey-operator.webhook.ownCertificate" . }}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations, mutatingwebhookconfigurations]
  verbs: [get, patch]
{{- end }}
{{- if and .Values.dashboard.enabled (eq .Values.dashboard.login "proxy") }}
- apiGroups: [""]
  resources: [users, groups]
  verbs: [impersonate]
{{- end }}
{{- end }}

{{/* What JobManagers do under the account of jobs: native ones make their TaskManagers, all of them keep
high-availability data in ConfigMaps, and a job that ends takes its own cluster down. */}}
{{- define "drey-operator.rights.jobs" -}}
- apiGroups: [""]
  resources: [pods, configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [deployments, deployments/finalizers]
  verbs: [get, list, watch, create, update, patch, delete]
{{- end }}
