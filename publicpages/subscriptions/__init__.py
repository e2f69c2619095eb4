"""What people do on the public pages: subscribe, confirm, choose."""
