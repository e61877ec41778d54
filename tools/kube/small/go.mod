module analysis-facility/tools/kube/small

go 1.26.0
