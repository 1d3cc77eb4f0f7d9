"""Writes one row more into every table, as the application does: python manage.py one_more. Prints the tables that got none."""

import uuid
from datetime import date, timedelta

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from lending.models import Author, Book, Loan, Member, Subject


def counts():
    models = apps.get_models(include_auto_created=True)
    return {model._meta.db_table: model.objects.count() for model in models}


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args, **options):
        before = counts()
        with transaction.atomic():
            self.write(uuid.uuid4().hex)
        after = counts()
        self.stdout.write(" ".join(sorted(table for table in after if after[table] <= before[table])))

    def write(self, word):
        author = Author.objects.create(name=word, slug=word)
        subject = Subject.objects.create(name=word, parent=Subject.objects.first())
        book = Book.objects.create(
            title=word, slug=word, author=author, price="0.10", pages=3, added_at=timezone.now(), loan_period=timedelta(days=1)
        )
        book.subjects.add(subject)
        kind = ContentType.objects.create(app_label="lending", model=word)
        permission = Permission.objects.create(content_type=kind, codename=word, name=word)
        group = Group.objects.create(name=word)
        group.permissions.add(permission)
        user = User.objects.create_user(word)
        user.groups.add(group)
        user.user_permissions.add(permission)
        member = Member.objects.create(user=user)
        Loan.objects.create(member=member, book=book, due=date(2030, 1, 1))
        SessionStore().save(must_create=True)
