"""The limits of a server: quota, caps, rate limiter, throttling, circuit breaker, refused senders."""
