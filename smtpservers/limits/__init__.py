"""What a server may be asked to take: quota, caps, rate, circuit breaker."""
