{{- define "kube-rendezvous.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{/* Name of what lies in a namespace; at most 40 characters, so that suffixes fit. */}}
{{- define "kube-rendezvous.fullname" -}}
{{- $name := .Release.Name -}}
{{- $chart := include "kube-rendezvous.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains $chart .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name $chart -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of what belongs to the whole cluster: two releases must not meet. Call it with (list . "suffix"). */}}
{{- define "kube-rendezvous.clusterName" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s.%s" (include "kube-rendezvous.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{- end -}}

{{- define "kube-rendezvous.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "kube-rendezvous.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: kube-rendezvous
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of the operator pods, and never changed: the selector of a Deployment may not change. */}}
{{- define "kube-rendezvous.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kube-rendezvous.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "kube-rendezvous.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (printf "%s-operator" (include "kube-rendezvous.fullname" .)) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kube-rendezvous.leaseName" -}}
{{ include "kube-rendezvous.fullname" . }}-operator
{{- end -}}

{{- define "kube-rendezvous.image" -}}
{{- include "kube-rendezvous.imageReference" (list . .Values.image) -}}
{{- end -}}

{{/* Call it with (list . VALUES), where VALUES are those of one image. */}}
{{- define "kube-rendezvous.imageReference" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with default $image.registry $root.Values.global.imageRegistry -}}
{{ . }}/
{{- end -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* The field of a pod, if there is one to set. */}}
{{- define "kube-rendezvous.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
  {{- if kindIs "string" . }}
  - name: {{ . | quote }}
  {{- else }}
  - name: {{ .name | quote }}
  {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Whether an admission policy of this release changes pods with the label: not empty if so. */}}
{{- define "kube-rendezvous.injects" -}}
{{- $enabled := toString .Values.injection.enabled -}}
{{- if eq $enabled "auto" -}}
{{- $enabled = .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" | toString -}}
{{- end -}}
{{- if and (eq $enabled "true") (not .Values.watchNamespace) -}}
true
{{- end -}}
{{- end -}}

{{/* What the operator may do in the namespaces that it serves. */}}
{{- define "kube-rendezvous.operatorRules" -}}
# `delete`: participants and Rendezvous that have ended. `administer` is no verb of the API server: an account that has it
# may write every participant, see the admission policy.
- apiGroups: [rdzv.dev]
  resources: [rendezvous]
  verbs: [get, list, watch, delete]
- apiGroups: [rdzv.dev]
  resources: [rendezvous/status]
  verbs: [update]
- apiGroups: [rdzv.dev]
  resources: [rendezvousparticipants]
  verbs: [get, list, watch, delete, administer]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What it may do beside that with `trainJobs.enabled`, to learn which TrainJob owns a JobSet. */}}
{{- define "kube-rendezvous.trainJobRules" -}}
- apiGroups: [jobset.x-k8s.io]
  resources: [jobsets]
  verbs: [get]
{{- end -}}

{{/* What it may do beside that with `machines.enabled`, to learn whether the machine of a silent member is down, and to choose nodes
by their machines. */}}
{{- define "kube-rendezvous.machineRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list]
{{- end -}}

{{/* What an agent may do in the namespace of its Rendezvous. */}}
{{- define "kube-rendezvous.workerRules" -}}
# `create` is needed only where agents are to create a missing Rendezvous.
- apiGroups: [rdzv.dev]
  resources: [rendezvous]
  verbs: [get, list, watch, create]
- apiGroups: [rdzv.dev]
  resources: [rendezvousparticipants]
  verbs: [get, create, update, patch, delete]
- apiGroups: [rdzv.dev]
  resources: [rendezvousparticipants/status]
  verbs: [update, patch]
{{- end -}}

{{/* The folder in which a container that trains finds the handler. */}}
{{- define "kube-rendezvous.handlerFolder" -}}
/opt/rdzv
{{- end -}}

{{/* CEL: which container of a pod trains, by name; the first name that there is counts, and without any the first container.
Call it with an expression for the annotations. */}}
{{- define "kube-rendezvous.trainerNames" -}}
[{{ . }}[?'rdzv.dev/container'].orValue(''), {{ . }}[?'kubectl.kubernetes.io/default-container'].orValue('')]
{{- end -}}

{{/* The one endpoint of a monitor. Call it with the values of the monitor. */}}
{{- define "kube-rendezvous.scrape" -}}
- port: http
  path: /metrics
  interval: {{ .interval }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  # `namespace` is that of the Rendezvous in these metrics, not that of the operator.
  honorLabels: true
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Of what `helm test` makes; not the name of the operator pods, whose logs people select by it. */}}
{{- define "kube-rendezvous.testLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "kube-rendezvous.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
