"""What marketers do: content, audience, schedule, queue, pause, report."""
