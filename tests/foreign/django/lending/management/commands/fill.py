"""Fills an empty library: python manage.py fill BOOKS. The same number makes the same rows."""

import random
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management.base import BaseCommand
from django.db import transaction

from lending.models import Author, Book, Loan, Member, Subject

BEGINNING = datetime(2021, 3, 4, 5, 6, 7, 890123, tzinfo=timezone.utc)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("books", type=int)

    @transaction.atomic
    def handle(self, *args, books, **options):
        chance = random.Random(books)
        authors = [
            Author.objects.create(name=f"Author {n} Łódź", slug=f"author-{n}", born=date(1900 + n, 1 + n % 12, 1 + n % 28) if n % 3 else None)
            for n in range(1 + books // 10)
        ]
        root = Subject.objects.create(name="Everything")
        subjects = [root] + [Subject.objects.create(name=f"Subject {n}", parent=root) for n in range(8)]
        made = [self.book(n, chance, authors) for n in range(books)]
        for book in made:
            book.subjects.set(chance.sample(subjects, chance.randrange(4)))
        group = Group.objects.create(name="Librarians")
        group.permissions.set(Permission.objects.filter(content_type__app_label="lending"))
        for n in range(1 + books // 20):
            user = User.objects.create_user(f"member{n}", f"member{n}@library.example", None)
            if n % 4 == 0:
                user.groups.add(group)
            member = Member.objects.create(id=uuid.UUID(int=chance.getrandbits(128)), user=user, last_address="2001:db8::7" if n % 2 else None)
            for book in chance.sample(made, 3):
                Loan.objects.create(member=member, book=book, due=date(2024, 2, 29), fine=Decimal(chance.randrange(10**6)).scaleb(-4), extensions=n * 10**10)
        session = SessionStore()
        session["visits"] = 3
        session.save()

    def book(self, n, chance, authors):
        return Book.objects.create(
            title=f"Book {n}: „Zażółć” 書 {'é' if n % 2 else ''}",
            slug=f"book-{n}",
            author=chance.choice(authors),
            price=Decimal(chance.randrange(10**6)).scaleb(-2),
            weight_kg=chance.choice([None, 0.1 * n, 1e-9]),
            pages=chance.randrange(1, 2000),
            added_at=BEGINNING + timedelta(hours=n, microseconds=n % 2),
            loan_period=timedelta(days=n % 60, seconds=n, microseconds=n % 3),
            opens_at=time(8, n % 60, 0, n % 2) if n % 5 else None,
            details={"languages": ["pl", "日本語"], "n": n, "ratio": n / 7, "none": None, "nested": {"a": [True, False]}},
            barcode=uuid.UUID(int=chance.getrandbits(128)),
            in_print=n % 4 != 0,
            is_rare=[None, True, False][n % 3],
            cover=bytes(chance.randbytes(40)) if n % 6 else None,
            blurb="line one\nline two\ttab 'quotes' \"double\" \\ backslash " * (n % 3),
        )
