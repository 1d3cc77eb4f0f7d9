"""The pages."""

from django.urls import path

from lending import views

urlpatterns = [
    path("health", views.health),
    path("books/", views.books),
    path("books/<slug:slug>/", views.book),
    path("members/", views.members),
    path("visit", views.visit),
]
