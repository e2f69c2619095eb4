"""The parts of a sending worker, from taking a lane to recording results."""
