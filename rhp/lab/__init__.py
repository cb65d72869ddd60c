"""Network namespaces and real peers on one machine, for the demo, the tests and the benchmarks."""
