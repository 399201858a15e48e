{{/* The job of Prometheus is called so, and the rules know it by `plimsoll` in its name. */}}
{{- define "plimsoll.name" -}}
{{- if contains "plimsoll" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-plimsoll{{ end -}}
{{- end -}}

{{- define "plimsoll.selector" -}}
app.kubernetes.io/name: plimsoll
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "plimsoll.metadata" -}}
name: {{ include "plimsoll.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "plimsoll.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* What belongs to no namespace: two releases in two namespaces may be called the same. */}}
{{- define "plimsoll.clusterName" -}}
{{- .Release.Namespace }}-{{ include "plimsoll.name" . -}}
{{- end -}}

{{- define "plimsoll.clusterMetadata" -}}
name: {{ include "plimsoll.clusterName" . }}
labels:
  {{- include "plimsoll.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "plimsoll.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "plimsoll.stateFolder" -}}
{{- .Values.stateFolder | default (ternary "/var/lib/plimsoll" "" .Values.govern.enabled) -}}
{{- end -}}
