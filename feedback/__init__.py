"""What comes back: unsubscribes now; bounces, complaints, opens and clicks later."""
