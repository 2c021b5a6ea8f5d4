from django.urls import path

from reviews.webhooks import github_webhook

urlpatterns = [path("webhooks/github", github_webhook, name="github-webhook")]
