"""What the Django applications answer, so that they differ in nothing but their library. /missing is not here: the router answers it."""

import time

from django.http import HttpResponse


def tools(request):
    return HttpResponse("tools")


def slow(request):
    time.sleep(0.35)
    return HttpResponse("slow")


def broken(request):
    raise RuntimeError("broken")


def refused(request):
    return HttpResponse("refused", status=503)


def ready(request):
    return HttpResponse("ready")
