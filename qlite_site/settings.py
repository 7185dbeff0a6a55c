"""One settings file for every environment, in the order of docs/operating.md. Everything comes from the environment."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from qlite_site import build, env
from qlite_site.unfold import UNFOLD as UNFOLD
from routing.rules import MAX_CACHE_TTL

ROOT = Path(__file__).resolve().parent.parent

# A file `.env` beside manage.py, then one in the data folder; what the environment already says wins.
env.read_file(ROOT / ".env")
# Sessions, digests of keys and sealed credentials are in it: nobody else on this machine may read them.
DATA_DIR = env.folder("QLITE_DATA_DIR", ROOT / "var")
env.read_file(DATA_DIR / ".env")

# --- Identity and secrets
DEBUG = env.flag("QLITE_DEBUG", False)
SECRET_KEY = env.kept_secret("SECRET_KEY", DATA_DIR / "secrets")
# Fernet passphrases for provider credentials: the first encrypts, all decrypt.
ENCRYPTION_KEYS = [env.not_known("QLITE_ENCRYPTION_KEYS", key) for key in env.words("QLITE_ENCRYPTION_KEYS")] or [
    env.kept_secret("QLITE_ENCRYPTION_KEYS", DATA_DIR / "secrets")
]
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")

BUILD = build.describe()
VERSION = BUILD["version"]

# --- Where we listen
PORT = env.whole("PORT", 8080, at_most=65535)
BIND = env.bind("QLITE_BIND", PORT)
PUBLIC_URL = env.address("QLITE_PUBLIC_URL", f"http://{env.reachable(BIND)}")
ALLOWED_HOSTS = env.hosts(
    "QLITE_ALLOWED_HOSTS", "*" if DEBUG else f"localhost,127.0.0.1,[::1],{env.host_of(PUBLIC_URL)}"
)
CSRF_TRUSTED_ORIGINS = env.origins("QLITE_TRUSTED_ORIGINS")
TRUSTED_PROXIES = env.networks("QLITE_TRUSTED_PROXIES")

# --- The main database
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{DATA_DIR / 'qlite.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["OPTIONS"] = {
        "pool": {"min_size": 1, "max_size": env.whole("QLITE_DATABASE_POOL", 8, at_least=2), "timeout": 10},
        "connect_timeout": 5,
    }
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # or the first pages after a restart of PostgreSQL would fail
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- The gateway
MAX_REQUEST_BYTES = env.whole("QLITE_MAX_REQUEST_BYTES", 64 * 1024 * 1024, at_least=1024)
MAX_RESPONSE_BYTES = env.whole("QLITE_MAX_RESPONSE_BYTES", 64 * 1024 * 1024, at_least=1024)
CORS_ALLOW_ORIGINS = env.origins("QLITE_CORS_ALLOW_ORIGINS", also=("*", "null"))
WRONG_KEYS = env.whole("QLITE_WRONG_KEYS", 20)
DEFAULT_MODEL = env.text("QLITE_DEFAULT_MODEL", "stub")
CACHE_TTL = env.whole("QLITE_CACHE_TTL", 3600, at_most=MAX_CACHE_TTL)
CACHE_BYTES = env.whole("QLITE_CACHE_BYTES", 8 * 1024 * 1024)
CONNECT_TIMEOUT = env.seconds("QLITE_CONNECT_TIMEOUT", 5.0, at_least=0.01)
FIRST_BYTE_TIMEOUT = env.seconds("QLITE_FIRST_BYTE_TIMEOUT", 300.0, at_least=0.01)
STREAM_IDLE_TIMEOUT = env.seconds("QLITE_STREAM_IDLE_TIMEOUT", 120.0, at_least=0.01)
REALTIME_IDLE_SECONDS = env.seconds("QLITE_REALTIME_IDLE_TIMEOUT", 600.0, at_least=0.1)
TOTAL_TIMEOUT = env.seconds("QLITE_TOTAL_TIMEOUT", 1800.0, at_least=0.01)
KEEPALIVE_SECONDS = env.seconds("QLITE_KEEPALIVE", 15.0, at_least=0.01)
STAGES = env.words("QLITE_STAGES")
REQUEST_LOG = env.flag("QLITE_REQUEST_LOG", True)
METRICS_TOKEN = env.token("QLITE_METRICS_TOKEN")
METRICS_OPEN = env.flag("QLITE_METRICS_OPEN", False)

# --- Routing
ROUTING_REVIEW = env.flag("QLITE_ROUTING_REVIEW", False)
ROUTING_APPROVAL = env.flag("QLITE_ROUTING_APPROVAL", False)
env.needs("QLITE_ROUTING_APPROVAL", ROUTING_APPROVAL, "QLITE_ROUTING_REVIEW", ROUTING_REVIEW)

# --- The ledger
JOURNAL_DIR = DATA_DIR / "journal"
JOURNAL_BYTES = env.whole("QLITE_JOURNAL_BYTES", 64 * 1024 * 1024, at_least=64 * 1024)
TAGS = env.tags("QLITE_TAGS")
SHADOW_TEAM = env.text("QLITE_SHADOW_TEAM", "ops")
SHADOW_COST_CENTRE = env.text("QLITE_SHADOW_COST_CENTRE", "")
PRICE_APPROVAL = env.flag("QLITE_PRICE_APPROVAL", False)
LEDGER_RETENTION_DAYS = env.whole("QLITE_LEDGER_RETENTION_DAYS", 0, at_most=36_500)
JOURNAL_SYNC = env.one_of("QLITE_JOURNAL_SYNC", "normal", "normal", "full")

# --- Mail and alerts
EMAIL_URL = env.text("QLITE_EMAIL_URL")
vars().update(env.mail("QLITE_EMAIL_URL"))  # EMAIL_HOST and its like, as Django knows them
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("QLITE_EMAIL_FROM", "qlite@localhost")
ALERT_EMAIL = env.words("QLITE_ALERT_EMAIL")
ALERT_WEBHOOK = env.place("QLITE_ALERT_WEBHOOK")
ALERT_WEBHOOK_SECRET = env.text("QLITE_ALERT_WEBHOOK_SECRET")
if ALERT_WEBHOOK and len(ALERT_WEBHOOK_SECRET) < 16:
    raise ImproperlyConfigured("QLITE_ALERT_WEBHOOK needs a QLITE_ALERT_WEBHOOK_SECRET of 16 characters or more")

# --- The server
WORKERS = env.whole("QLITE_WORKERS", 1, at_least=1)
MAX_CONNECTIONS = env.whole("QLITE_MAX_CONNECTIONS", 0)
DRAIN_SECONDS = env.seconds("QLITE_DRAIN_TIMEOUT", 30.0)
WRITE_STALL_SECONDS = env.seconds("QLITE_WRITE_STALL_TIMEOUT", 60.0, at_least=0.1)
HEADER_SECONDS = env.seconds("QLITE_HEADER_TIMEOUT", 10.0, at_least=0.1)
BODY_SECONDS = env.seconds("QLITE_BODY_TIMEOUT", 60.0, at_least=0.1)

# --- Django
ROOT_URLCONF = "qlite_site.urls"
ASGI_APPLICATION = "qlite_site.asgi.application"
INSTALLED_APPS = [
    "qlite_site.apps.SiteConfig",
    "proxy",
    "routing",
    "accounts",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "channels",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "qlite_site.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["qlite_site.throttle.ThrottledBackend"]
LOGIN_URL = LOGOUT_REDIRECT_URL = "login"
LOGIN_REDIRECT_URL = "portal:keys"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
FORCE_SCRIPT_NAME = env.prefix("QLITE_SCRIPT_NAME")
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES

LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = ["qlite_site.formats"]
USE_TZ = True
# Days, weeks and months of reports and budgets are those of the organisation's own clock.
TIME_ZONE = env.zone("QLITE_TIME_ZONE", "UTC")

# The classes that the admin is built from; "django.contrib.admin" is the plain one.
ADMIN_BASE = "qlite_site.adminbase"

STATIC_URL = f"{FORCE_SCRIPT_NAME or ''}/static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns at each start where it is missing
STATICFILES_DIRS = [ROOT / "qlite_site" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

os.environ["TIKTOKEN_CACHE_DIR"] = env.rank_files("TIKTOKEN_CACHE_DIR", ROOT / "proxy" / "tiktoken")

LOG_LEVEL = env.one_of("QLITE_LOG_LEVEL", "INFO", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "qlite_site.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"daphne": {"level": "WARNING"}, "twisted": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
