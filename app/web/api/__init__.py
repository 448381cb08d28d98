"""The API for tills and web shops, its OpenAPI document and its pages for people."""

from app.web.api import bonus_views, group_views, visit_views
from app.web.api.views import blueprint

__all__ = ["blueprint", "bonus_views", "group_views", "visit_views"]
