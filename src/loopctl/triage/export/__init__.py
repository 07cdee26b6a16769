"""What a log export says: any file of log lines, read into the symptoms that a diagnosis needs."""
