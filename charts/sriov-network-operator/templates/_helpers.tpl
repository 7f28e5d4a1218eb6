{{- /*
SPDX-FileCopyrightText: The SR-IOV Network Operator authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{- define "meta" -}}
name: sriov-network-operator
labels:
  {{- include "labels" . | nindent 2 }}
{{- end }}

{{- define "labels" -}}
app.kubernetes.io/name: sriov-network-operator
app.kubernetes.io/part-of: sriov-network-operator
{{- end }}

{{- /* Variables of the environment whose values are not empty, in the order of the list. */}}
{{- define "env" -}}
{{- range . }}
{{- $value := index . 1 }}
{{- if $value }}
- name: {{ index . 0 }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}
