"""Pages in JSON. Each shows every column of what it reads, so that an answer changes when a value does.

Keys are sorted: PostgreSQL's jsonb does not keep the order in which they were written.
"""

import json
from base64 import b64encode
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from .models import Author, Book, Member


def answer(shown):
    return HttpResponse(json.dumps(shown, sort_keys=True), content_type="application/json")


def health(request):
    """Ready when its database answers; says which it is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return answer({"ready": True, "database": connection.vendor})


def shown(book):
    """Every field of a book, and what it refers to."""
    return {
        "id": book.id,
        "title": book.title,
        "slug": book.slug,
        "author": book.author.name,
        "subjects": sorted(subject.name for subject in book.subjects.all()),
        "price": str(book.price),
        "weight_kg": book.weight_kg,
        "pages": book.pages,
        "added_at": book.added_at.isoformat(),
        "loan_period_s": book.loan_period.total_seconds(),
        "opens_at": book.opens_at and book.opens_at.isoformat(),
        "details": book.details,
        "barcode": str(book.barcode),
        "in_print": book.in_print,
        "is_rare": book.is_rare,
        "cover": book.cover and b64encode(bytes(book.cover)).decode(),
        "blurb": book.blurb,
    }


@csrf_exempt
def books(request):
    """GET: a page of books by title. POST: a new one; with ?probe=1 it is written and rolled back."""
    if request.method == "POST":
        return new_book(request)
    found = Book.objects.select_related("author").prefetch_related("subjects").order_by("title", "id")[:25]
    return answer({"books": [shown(book) for book in found], "all": Book.objects.count()})


def new_book(request):
    sent = json.loads(request.body or "{}")
    now = str(timezone.now().timestamp()).replace(".", "-")
    with transaction.atomic():
        title = sent.get("title", f"A probe at {now}")
        book = Book.objects.create(
            title=title,
            slug=sent.get("slug", f"probe-{now}"),
            author=Author.objects.order_by("id").first(),
            price="1.50",
            pages=1,
            added_at=timezone.now(),
            loan_period=timedelta(days=14),
        )
        if "probe" in request.GET:
            transaction.set_rollback(True)
    return answer({"id": book.id, "database": connection.vendor})


def book(request, slug):
    return answer(shown(get_object_or_404(Book, slug=slug)))


def members(request):
    """Members with their loans and their Django users."""
    found = Member.objects.select_related("user").order_by("user__username")[:25]
    return answer(
        {
            "members": [
                {
                    "id": str(member.id),
                    "username": member.user.username,
                    "joined": member.user.date_joined.isoformat(),
                    "may": sorted(member.user.get_all_permissions()),
                    "last_address": member.last_address,
                    "loans": [
                        {"book": loan.book_id, "due": loan.due.isoformat(), "fine": str(loan.fine), "extensions": loan.extensions}
                        for loan in member.loan_set.order_by("id")
                    ],
                }
                for member in found
            ],
            "users": User.objects.count(),
        }
    )


def visit(request):
    """Counts this visitor's visits in Django's session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return answer({"visits": request.session["visits"]})
