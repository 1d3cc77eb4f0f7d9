"""Books, who wrote them, who has borrowed them: one of each kind of field that Django applications have."""

import uuid

from django.conf import settings
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)
    born = models.DateField(null=True)
    website = models.URLField(blank=True)


class Subject(models.Model):
    name = models.CharField(max_length=100, unique=True)
    # A tree.
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)


class Book(models.Model):
    title = models.CharField(max_length=300, db_index=True)
    slug = models.SlugField(unique=True, max_length=120)
    author = models.ForeignKey(Author, on_delete=models.PROTECT, related_name="books")
    subjects = models.ManyToManyField(Subject)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    weight_kg = models.FloatField(null=True)
    pages = models.PositiveSmallIntegerField()
    added_at = models.DateTimeField()
    loan_period = models.DurationField()
    opens_at = models.TimeField(null=True)
    details = models.JSONField(default=dict)
    barcode = models.UUIDField(default=uuid.uuid4, unique=True)
    in_print = models.BooleanField(default=True)
    is_rare = models.BooleanField(null=True)
    cover = models.BinaryField(null=True)
    blurb = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(price__gte=0), name="book_price_not_negative"),
            models.UniqueConstraint(fields=["author", "title"], name="book_once_per_author"),
        ]
        indexes = [models.Index(fields=["-added_at", "title"], name="book_newest")]


class Member(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    last_address = models.GenericIPAddressField(null=True)
    books = models.ManyToManyField(Book, through="Loan")


class Loan(models.Model):
    member = models.ForeignKey(Member, on_delete=models.CASCADE)
    book = models.ForeignKey(Book, on_delete=models.PROTECT)
    due = models.DateField()
    fine = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    extensions = models.BigIntegerField(default=0)
    returned_at = models.DateTimeField(null=True)
