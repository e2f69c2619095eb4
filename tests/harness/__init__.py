"""What tests stand on: the environment, browsers, workers, services and clocks of their own, and the judge of a run."""
