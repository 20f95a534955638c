"""The embedded platform: a real Kubernetes control plane and an AWS, as ordinary processes of one machine.

It serves the demonstration, the tests and the benchmarks. Nothing of the operator imports it.
"""
