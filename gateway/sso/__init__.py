"""Single sign-on for people in a browser: sessions, the way to a provider and back, the end of both."""
