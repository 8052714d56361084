"""`gateway clients`: applications' clients at Keycloak, made and kept as the plans say (3scale: Zync)."""
