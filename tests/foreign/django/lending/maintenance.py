"""The maintenance switch: while the file is there, only reading is allowed, except to who knows the token."""

import os

from django.conf import settings
from django.http import JsonResponse


class Maintenance:
    """Answers 503 to everything that would write."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        reads = request.method in ("GET", "HEAD", "OPTIONS") and request.path != "/visit"
        knows = settings.PROBE_TOKEN and request.headers.get("X-Probe-Token") == settings.PROBE_TOKEN
        if not reads and not knows and settings.MAINTENANCE_FILE and os.path.exists(settings.MAINTENANCE_FILE):
            return JsonResponse({"error": "maintenance"}, status=503)
        return self.get_response(request)
