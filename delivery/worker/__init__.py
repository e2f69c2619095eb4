"""The parts of a sending worker: drain, lanes, prefetch, connections, composed messages, results and leases."""
