"""The settings of Brilliance, read from the environment; docs/settings.md lists them in one table.

The defaults are the embedded set-up: SQLite, a broker made of files, everything stored below ``DATA_DIR``.
``DATABASE_URL`` and ``BROKER_URL`` alone switch to PostgreSQL and Redis.
"""

import datetime as dt
import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy

from brilliance.keys import check_encryption_keys, key_from_environment_or_file
from brilliance.logs import is_no_probe
from mail.links import levels
from mail.reachability import is_protected
from mail.visits.gateways import Networks
from words import time_zones

BASE_DIR = Path(__file__).resolve().parent.parent


class _Environment(environ.Env):  # type: ignore[misc]  # it has no types
    def int(self, name: str, default: int) -> int:
        try:
            return int(super().int(name, default=default))
        except ValueError:
            raise ImproperlyConfigured(f"{name} must be a whole number, not {self.str(name)!r}.") from None

    def str(self, name: str, default: str = "") -> str:
        """Return the text as it stands; the library takes one that begins with $ for the name of another variable."""
        return os.environ.get(name, default)


def _must_be(what: str, name: str, value: object, is_so: bool) -> None:
    if not is_so:
        raise ImproperlyConfigured(f"{name} must be {what}, not {value!r}.")


env = _Environment()

# --- where things are -----------------------------------------------------------------------

os.umask(0o077)  # Files are readable by this user only: they contain people's addresses.
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
FILES_DIR = env.str("FILES_DIR", default="")  # Empty: DATA_DIR.
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
_must_be("DEBUG, INFO, WARNING or ERROR", "LOG_LEVEL", LOG_LEVEL, LOG_LEVEL in ("DEBUG", "INFO", "WARNING", "ERROR"))
DEBUG = env.bool("DEBUG", default=False)

# Links in mail use this, never a request's Host header.
BASE_URL = env.str("BASE_URL", default=f"http://localhost:{PORT}").rstrip("/")
_base = urlsplit(BASE_URL)
if _base.scheme not in ("http", "https") or not _base.hostname:
    raise ImproperlyConfigured(f"BASE_URL must be an http or https address, not {BASE_URL!r}.")
IS_HTTPS = _base.scheme == "https"
IS_LOOPBACK = _base.hostname in ("localhost", "127.0.0.1", "::1")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
if not ALLOWED_HOSTS:
    ALLOWED_HOSTS = [_base.hostname, "localhost", "127.0.0.1", "[::1]"] if IS_LOOPBACK else [_base.hostname]

# --- who we are -----------------------------------------------------------------------------

ORGANISATION_NAME = env.str("ORGANISATION_NAME", default="Brilliance")
POSTAL_ADDRESS = env.str("POSTAL_ADDRESS", default="")
FEEDBACK_SENDER_ID = env.str("FEEDBACK_SENDER_ID", default="brilliance")
if not 5 <= len(FEEDBACK_SENDER_ID) <= 15:
    raise ImproperlyConfigured("FEEDBACK_SENDER_ID must have 5 to 15 characters: Gmail ignores others.")

# --- opens and clicks -----------------------------------------------------------------------

# The most that is counted until an administrator decides; empty: nothing.
TRACKING_LEVEL = env.str("TRACKING_LEVEL", default="")
_must_be("off, anonymous or personal", "TRACKING_LEVEL", TRACKING_LEVEL, TRACKING_LEVEL in ("", *levels.LEVELS))
# Where counted links and pixels lead: this site, under a name of its own if the mail's domain has one.
TRACKING_URL = env.str("TRACKING_URL", default="").rstrip("/") or BASE_URL
_tracking = urlsplit(TRACKING_URL)
if _tracking.scheme not in ("http", "https") or not _tracking.hostname or _tracking.query or _tracking.fragment:
    raise ImproperlyConfigured(f"TRACKING_URL must be an http or https address, not {TRACKING_URL!r}.")
# Networks that look at links before people do, beside the shipped ones.
GATEWAY_NETWORKS = env.list("GATEWAY_NETWORKS", default=[])
try:
    Networks(GATEWAY_NETWORKS)
except ValueError as _error:
    raise ImproperlyConfigured(f"GATEWAY_NETWORKS must be networks such as 192.0.2.0/24: {_error}.") from _error

# --- keys -----------------------------------------------------------------------------------

SECRET_KEY = key_from_environment_or_file(env.str("SECRET_KEY", default=""), DATA_DIR, "secret_key")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# The first key encrypts, all of them decrypt: a rotation puts the new key in front.
FIELD_ENCRYPTION_KEYS = [
    key.strip()
    for key in key_from_environment_or_file(
        env.str("FIELD_ENCRYPTION_KEYS", default=""), DATA_DIR, "field_encryption_key"
    ).split(",")
]
check_encryption_keys(FIELD_ENCRYPTION_KEYS)
# Signs the tokens in mail. Links live for years, so old keys stay after the first one.
TOKEN_KEYS = [
    key.strip()
    for key in key_from_environment_or_file(env.str("TOKEN_KEYS", default=""), DATA_DIR, "token_key").split(",")
]

# --- parts ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "brilliance",
    "unfold.apps.BasicAppConfig",  # Without its site: adminpages has ours.
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    "crispy_forms",
    "django_ace",
    "adminpages.site.SiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "simple_history",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "accounts",
    "encryption",
    "oauth",
    "installation",
    "contacts",
    "smtpservers",
    "domains",
    "delivery",
    "campaigns",
    "feedback",
    "publicpages",
    "sandbox",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "brilliance.web.middleware.content_security_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "brilliance.web.middleware.RejectUnstorableText",
    "brilliance.web.middleware.private_answers",
    "brilliance.web.middleware.redirects_for_scripts",
    "brilliance.web.middleware.SiteTimeZone",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "brilliance.web.middleware.SessionLifetime",
    "accounts.middleware.SecondFactorRequired",
    "accounts.middleware.OwnPasswordRequired",
    "accounts.middleware.OwnTimeZone",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "brilliance.web.middleware.RejectOversizedNumbers",
    "adminpages.deadlines.Deadlines",
]

ROOT_URLCONF = "brilliance.urls"
WSGI_APPLICATION = "brilliance.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.sign_in.context_processors.ways_in",
            ]
        },
    }
]
CRISPY_TEMPLATE_PACK = "unfold_crispy"
CRISPY_ALLOWED_TEMPLATE_PACKS = ["unfold_crispy"]

# --- database -------------------------------------------------------------------------------

DATABASE_URL = env.str("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'brilliance.sqlite3'}")
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if not DATABASES["default"].get("ENGINE"):
    raise ImproperlyConfigured("DATABASE_URL must be like postgres://user:password@host:5432/name.")
IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if IS_SQLITE:
    # A file in tests too: the sender works in threads and processes of its own.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
    }
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A worker that stops during a transaction must not block the others; its transaction is rolled back.
    patience = "-c idle_in_transaction_session_timeout=20s"
    # PostgreSQL takes a table without statistics for a large one, and compiles a query of it for longer than a second.
    without_compiler = "-c jit=off"
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "options": f"{patience} {without_compiler}",
        **DATABASES["default"].get("OPTIONS", {}),
    }

# --- the worker -----------------------------------------------------------------------------

CELERY_BROKER_URL = BROKER_URL = env.str("BROKER_URL", default="brilliance-fs://localhost")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0  # A busy machine may need more than the default 4 s to fork a child.
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "errands"
CELERY_TASK_ROUTES = {"delivery.tasks.deliver": {"queue": "deliver"}}
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
if BROKER_URL.startswith("brilliance-fs:"):
    import brilliance.broker.fsbroker  # noqa: F401  # registers the transport's name

    CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(DATA_DIR / "broker"), "polling_interval": 0.05}
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # It needs to reach all workers at once.
CELERY_BEAT_SCHEDULER = "brilliance.broker.metronome:Metronome"  # Keeps no file: the database knows what is due.
CELERY_BEAT_SCHEDULE = {  # In seconds.
    "dispatch": {"task": "delivery.tasks.dispatch", "schedule": 2.0},
    "start-due-campaigns": {"task": "campaigns.tasks.start_due_campaigns", "schedule": 2.0},
    "count-people": {"task": "campaigns.tasks.count_people", "schedule": 2.0},
    "tally": {"task": "campaigns.tasks.tally", "schedule": 3.0},
    "sweep-imports": {"task": "contacts.tasks.sweep_imports", "schedule": 10.0},
    "process-sign-ups": {"task": "publicpages.tasks.process_sign_ups", "schedule": 10.0},
    "poll-mailboxes": {"task": "feedback.tasks.poll_mailboxes", "schedule": 5.0},
    "forward-mail": {"task": "feedback.tasks.forward_mail", "schedule": 10.0},
    "relay-unsubscribes": {"task": "feedback.tasks.relay_unsubscribes", "schedule": 15.0},
    "search-raw-reports": {"task": "feedback.tasks.search_raw_reports", "schedule": 20.0},
    "process-reports": {"task": "feedback.tasks.process_reports", "schedule": 2.0},
    "gather-visits": {"task": "feedback.tasks.gather_visits", "schedule": 5.0},
    "check-sessions": {"task": "delivery.tasks.check_sessions", "schedule": 30.0},
    "check-domains": {"task": "domains.tasks.check_domains", "schedule": 60.0},
    "ask-postmaster": {"task": "domains.tasks.ask_postmaster", "schedule": 300.0},
    "forget-domain-reports": {"task": "domains.tasks.forget_reports", "schedule": 3600.0},
    "keep-dkim-keys": {"task": "domains.tasks.keep_keys", "schedule": 60.0},
    "retention": {"task": "contacts.tasks.apply_retention", "schedule": 6 * 3600.0},
    "send-resets": {"task": "accounts.by_mail.tasks.send_resets", "schedule": 10.0},
    "renew-tokens": {"task": "oauth.tasks.renew_tokens", "schedule": 60.0},
    "forget-sign-ups": {"task": "publicpages.tasks.delete_expired", "schedule": 600.0},
    "forget-tokens": {"task": "feedback.tasks.forget_tokens", "schedule": 600.0},
    "forget-sessions": {"task": "accounts.tasks.delete_expired", "schedule": 600.0},
}

# How often a mailbox is read, in seconds.
MAILBOX_SECONDS = env.int("MAILBOX_SECONDS", default=60)
_must_be("10 to 3600", "MAILBOX_SECONDS", MAILBOX_SECONDS, 10 <= MAILBOX_SECONDS <= 3600)

# Where `manage.py intake` takes bounces and other reports by mail.
INTAKE_HOST = env.str("INTAKE_HOST", default="127.0.0.1")
INTAKE_PORT = env.int("INTAKE_PORT", default=2527)
INTAKE_PROTOCOL = env.str("INTAKE_PROTOCOL", default="smtp")
INTAKE_NAME = env.str("INTAKE_NAME", default="")  # Empty: the host of BASE_URL.
INTAKE_CERTIFICATE = env.str("INTAKE_CERTIFICATE", default="")  # A PEM file with the key. Empty: one of its own.
_must_be("a port from 0 to 65535", "INTAKE_PORT", INTAKE_PORT, 0 <= INTAKE_PORT <= 65535)
_must_be("smtp or lmtp", "INTAKE_PROTOCOL", INTAKE_PROTOCOL, INTAKE_PROTOCOL in ("smtp", "lmtp"))

# Retention of personal details; 0: for good. Counts, statuses and dates stay. See contacts.privacy.retention.
RETAIN_MESSAGES_MONTHS = env.int("RETAIN_MESSAGES_MONTHS", default=0)
RETAIN_FEEDBACK_MONTHS = env.int("RETAIN_FEEDBACK_MONTHS", default=13)
RETAIN_RAW_DAYS = env.int("RETAIN_RAW_DAYS", default=30)
RETAIN_REFUSED_ROWS_DAYS = env.int("RETAIN_REFUSED_ROWS_DAYS", default=30)
RETAIN_PENDING_DAYS = env.int("RETAIN_PENDING_DAYS", default=30)
RETAIN_LOG_MONTHS = env.int("RETAIN_LOG_MONTHS", default=0)
for _name in [name for name in globals() if name.startswith("RETAIN_")]:
    _must_be("0 or more, and no more than 1200", _name, globals()[_name], 0 <= globals()[_name] <= 1200)

# Whether all mail is held from the start until a person releases it: for the clone of a whole machine.
START_HELD = env.bool("START_HELD", default=False)
# How long a drain task sends before it releases the worker's slot, in seconds.
DRAIN_SECONDS = env.int("DRAIN_SECONDS", default=30)
# A worker without a heartbeat for this long loses its lanes, in seconds.
LEASE_SECONDS = env.int("LEASE_SECONDS", default=30)
# The waits of a deferred message before each retry, in minutes; the last one repeats.
RETRY_MINUTES = env.str("RETRY_MINUTES", default="15,30,60,120,240")
try:
    RETRY_WAITS = tuple(dt.timedelta(minutes=int(minutes)) for minutes in RETRY_MINUTES.split(","))
except (ValueError, OverflowError):
    RETRY_WAITS = ()
_must_be(
    "whole minutes, 1 or more, separated by commas",
    "RETRY_MINUTES",
    RETRY_MINUTES,
    bool(RETRY_WAITS) and min(RETRY_WAITS) >= dt.timedelta(minutes=1),
)
# How long a message is retried in total, in hours.
RETRY_CAMPAIGN_HOURS = env.int("RETRY_CAMPAIGN_HOURS", default=72)
RETRY_SINGLE_HOURS = env.int("RETRY_SINGLE_HOURS", default=24)
# A campaign that missed its start by this many minutes, because nothing ran, asks before it starts.
LATE_START_MINUTES = env.int("LATE_START_MINUTES", default=30)
_must_be("1 or more", "LATE_START_MINUTES", LATE_START_MINUTES, LATE_START_MINUTES >= 1)
# A campaign stops by itself after this many answered messages, if this percentage are hard bounces, or were refused for
# their content; 0: never.
STOP_AFTER_MESSAGES = env.int("STOP_AFTER_MESSAGES", default=200)
STOP_BOUNCE_PERCENT = env.int("STOP_BOUNCE_PERCENT", default=5)
STOP_REFUSAL_PERCENT = env.int("STOP_REFUSAL_PERCENT", default=3)
for _name in ("RETRY_CAMPAIGN_HOURS", "RETRY_SINGLE_HOURS", "STOP_AFTER_MESSAGES"):
    _must_be("1 or more", _name, globals()[_name], globals()[_name] >= 1)
for _name in ("STOP_BOUNCE_PERCENT", "STOP_REFUSAL_PERCENT"):
    _must_be("a percentage from 0 to 100", _name, globals()[_name], 0 <= globals()[_name] <= 100)
# The name servers for recipients' domains; empty: the machine's own.
DNS_RESOLVERS = env.list("DNS_RESOLVERS", default=[])
# A zone of ours with the DKIM records of all domains, which point there with aliases; empty: each domain has its own.
DKIM_ZONE = env.str("DKIM_ZONE", default="").strip(".").lower()
if DKIM_ZONE and not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]", DKIM_ZONE):
    raise ImproperlyConfigured("DKIM_ZONE must be the name of a DNS zone, such as dkim.example.com.")
# Whether Spamhaus is asked about sending domains and own relays, and the key of its Data Query Service; without a key a
# resolver of one's own is needed.
ASK_BLOCK_LISTS = env.bool("ASK_BLOCK_LISTS", default=False)
SPAMHAUS_KEY = env.str("SPAMHAUS_KEY", default="")
if not (SPAMHAUS_KEY.isascii() and (SPAMHAUS_KEY.isalnum() or not SPAMHAUS_KEY)):
    raise ImproperlyConfigured("SPAMHAUS_KEY must be the letters and digits of a Data Query Service key.")
# Whether servers in private networks and on this machine are refused, for installations where strangers may add
# servers.
FORBID_PRIVATE_HOSTS = env.bool("FORBID_PRIVATE_HOSTS", default=False)
# Tests name a token server on this machine here. No environment variable can: secrets go to the providers alone.
OAUTH_TEST_SERVER = ""
# The minimum wait for the answer to a message's final dot, in seconds (RFC 5321 section 4.5.3.2.6).
FINAL_ANSWER_SECONDS = env.int("FINAL_ANSWER_SECONDS", default=600)

# --- the public pages -----------------------------------------------------------------------

# How often an address may be entered per day, and how many forms a network may send per hour.
SUBSCRIBE_PER_ADDRESS = env.int("SUBSCRIBE_PER_ADDRESS", default=3)
SUBSCRIBE_PER_NETWORK = env.int("SUBSCRIBE_PER_NETWORK", default=60)
# How long a confirmation link is valid, in days.
CONFIRM_DAYS = env.int("CONFIRM_DAYS", default=7)
for _name in ("SUBSCRIBE_PER_ADDRESS", "SUBSCRIBE_PER_NETWORK", "CONFIRM_DAYS"):
    _must_be("1 or more", _name, globals()[_name], globals()[_name] >= 1)

# --- the demo's mailbox ---------------------------------------------------------------------

DEMO = env.bool("DEMO", default=True)  # What `make run` puts into an empty installation.
SANDBOX_ENABLED = env.bool("SANDBOX_ENABLED", default=IS_LOOPBACK)
if SANDBOX_ENABLED and find_spec("aiosmtpd") is None:
    raise ImproperlyConfigured(
        "The sandbox mailbox is on, and the package aiosmtpd that receives its mail is missing:"
        " install it with pip install aiosmtpd, or set SANDBOX_ENABLED=off."
    )
SANDBOX_PLAIN_PORT = env.int("SANDBOX_PLAIN_PORT", default=2525)
SANDBOX_STARTTLS_PORT = env.int("SANDBOX_STARTTLS_PORT", default=2587)
SANDBOX_AUTH_PORT = env.int("SANDBOX_AUTH_PORT", default=2526)
for _name in ("PORT", "SANDBOX_PLAIN_PORT", "SANDBOX_STARTTLS_PORT", "SANDBOX_AUTH_PORT"):
    _must_be("a port from 1 to 65535", _name, globals()[_name], 1 <= globals()[_name] <= 65535)

# --- signing in -----------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "accounts.sign_in.backends.PasswordsClosed",
    "accounts.sign_in.backends.UserBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "accounts.sign_in.password_words.EasyWordsValidator", "OPTIONS": {"min_length": 12}},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # Hours. Long enough against guessing, short enough after typing errors.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # Nobody can lock out another person from elsewhere.
AXES_CLIENT_IP_CALLABLE = "accounts.sign_in.lockout.network_address"
AXES_HANDLER = "accounts.sign_in.lockout.LockoutHandler"  # Also counts a network's failures over all names.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # Else continued guessing keeps others of the network out.
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_ACCESS_FAILURE_LOG_PER_USER_LIMIT = 10**9  # Else what fails elsewhere takes failures out of a network's count.
AXES_LOCKOUT_CALLABLE = "accounts.sign_in.lockout.locked_out"
AXES_ENABLE_ADMIN = False  # Its tables contain visitors' addresses, and nothing in them needs a decision.

ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]  # Nobody signs up; the form to sign in reads it, too.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = False  # axes alone limits, for all processes together.
ACCOUNT_SESSION_REMEMBER = True  # Until SESSION_COOKIE_AGE.

# Whose second factor is needed: all, none, or names of roles.
ROLE_NAMES = ("admin", "marketer", "ops", "viewer")
MFA_ROLES: str | list[str] = env.str("MFA_ROLES", default="") or ("none" if IS_LOOPBACK else "all")
if MFA_ROLES not in ("all", "none"):
    MFA_ROLES = [name.strip() for name in str(MFA_ROLES).split(",")]
    _must_be(f"all, none or some of {', '.join(ROLE_NAMES)}", "MFA_ROLES", MFA_ROLES, set(MFA_ROLES) <= set(ROLE_NAMES))
MFA_ADAPTER = "accounts.adapters.FactorAdapter"
MFA_FORMS = {
    "authenticate": "accounts.forms.SecondFactorCodeForm",
    "authenticate_webauthn": "accounts.forms.SecondFactorKeyForm",
    "login_webauthn": "accounts.forms.PasskeyForm",
    "add_webauthn": "accounts.forms.KeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn"]  # The library would keep recovery codes readable: ours are hashes.
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_REAUTHENTICATION_REQUIRED = False  # adminpages.fresh_sign_in asks: the library would store what was sent.

# Single sign-on by one issuer of OpenID Connect. Its groups give roles, and take away those that are named here.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", default="groups")
OIDC_ROLES = [tuple(pair.strip().split(":", 1)) for pair in env.list("OIDC_ROLES", default=[])]
OIDC_LINK_BY_EMAIL = env.bool("OIDC_LINK_BY_EMAIL", default=False)
OIDC_ONLY = env.bool("OIDC_ONLY", default=False)
OIDC_MFA = env.str("OIDC_MFA", default="own")
if OIDC_ISSUER:
    _must_be("an https address, or http on this machine", "OIDC_ISSUER", OIDC_ISSUER, is_protected(OIDC_ISSUER))
    if not (OIDC_CLIENT_ID and OIDC_CLIENT_SECRET):
        raise ImproperlyConfigured("OIDC_ISSUER needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.")
elif OIDC_ONLY:
    raise ImproperlyConfigured("OIDC_ONLY=on needs OIDC_ISSUER, or nobody could sign in.")
for _pair in OIDC_ROLES:
    _must_be(
        "like admin:mail-admins",
        "OIDC_ROLES",
        ":".join(_pair),
        len(_pair) == 2 and _pair[0] in ROLE_NAMES and all(_pair),
    )
_must_be("own or issuer", "OIDC_MFA", OIDC_MFA, OIDC_MFA in ("own", "issuer"))

SESSION_ENGINE = "accounts.sessions.store"
SESSION_COOKIE_AGE = ACCOUNT_SESSION_COOKIE_AGE = 12 * 3600  # Absolute lifetime of a session in seconds.
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=2 * 3600)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
if IS_HTTPS:
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS

# --- the browser ----------------------------------------------------------------------------

SECURE_SSL_REDIRECT = IS_HTTPS
# A redirect would break one-click unsubscribe (RFC 8058 section 3.1), webhooks and the probes of a load balancer.
SECURE_REDIRECT_EXEMPT = [r"^u/", r"^hooks/", r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"  # For old browsers; others use frame-ancestors, which permits framed previews of mail.
TRUST_PROXY = env.bool("TRUST_PROXY", default=False)
if TRUST_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
# Only our own script files: Alpine is the build without eval. unfold's widgets use style attributes.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
MEDIA_MAX_BYTES = env.int("MEDIA_MAX_MEGABYTES", default=5) * 1_000_000
MEDIA_MAX_PIXELS = env.int("MEDIA_MAX_MEGAPIXELS", default=25) * 1_000_000
ATTACHMENTS_MAX_BYTES = env.int("ATTACHMENTS_MAX_MEGABYTES", default=10) * 1_000_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024

# --- language, time, files ------------------------------------------------------------------

USE_I18N = True
FORMAT_MODULE_PATH = ["brilliance.formats"]
USE_TZ = True
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("pt", "Português"),
    ("nl", "Nederlands"),
    ("it", "Italiano"),
    ("ja", "日本語"),
]
LANGUAGE_CODE = "en"  # Of the pages of users, which are not translated yet.
SITE_LANGUAGE = env.str("SITE_LANGUAGE", default="en")
_must_be("en, de, fr, es, pt, nl, it or ja", "SITE_LANGUAGE", SITE_LANGUAGE, SITE_LANGUAGE in dict(LANGUAGES))
TIME_ZONE = env.str("SITE_TIME_ZONE", default="UTC")
_must_be("a time zone such as Europe/Berlin", "SITE_TIME_ZONE", TIME_ZONE, TIME_ZONE in time_zones.names())
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SILENCED_SYSTEM_CHECKS: list[str] = []

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "brilliance.logs.OneLineFormatter", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    },
    "filters": {"no probes": {"()": "django.utils.log.CallbackFilter", "callback": is_no_probe}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # The database has the record of work; a line per hint would bury important ones.
    "loggers": {
        **{name: {"level": "WARNING"} for name in ("celery", "kombu", "axes.apps", "imapclient")},
        "django.request": {"filters": ["no probes"]},
    },
}

# --- the admin's looks ----------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Brilliance",
    "SITE_HEADER": "Brilliance",
    "SITE_SUBHEADER": gettext_lazy("Self-hosted email sending"),
    "SITE_SYMBOL": "mail",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("brilliance/favicon.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_URL": None,
    "DASHBOARD_CALLBACK": "brilliance.web.dashboard.dashboard",
    "STYLES": [lambda request: static("brilliance/brilliance.css")],
    "SCRIPTS": [lambda request: static("brilliance/brilliance.js")],
    "ACCOUNT": {"navigation": "brilliance.web.navigation.account_links"},
    "SIDEBAR": {
        "show_all_applications": False,
        "navigation": "brilliance.web.navigation.navigation",
    },
}
