"""A small chat service: sign up, log in, ask over a WebSocket, read the messages back."""
