"""The URLs of signing in, mounted at /accounts/, under the names that the library looks for. Its others are closed."""

from django.urls import path

from accounts import views
from accounts.by_mail import views as by_mail_views
from accounts.profile import views as profile_views
from accounts.sessions import views as session_views
from accounts.sign_in import first_admin
from accounts.single_sign_on import links
from accounts.single_sign_on import views as single_sign_on

urlpatterns = [
    path("login/", views.SignIn.as_view(), name="account_login"),
    path("login/passkey/", views.PasskeySignIn.as_view(), name="mfa_login_webauthn"),
    path("login/second-factor/", views.SecondFactor.as_view(), name="mfa_authenticate"),
    path("login/issuer/", single_sign_on.begin, name="single_sign_on"),
    path("login/issuer/callback/", single_sign_on.finish, name="single_sign_on_callback"),
    path("login/link/", links.sign_in, name="sign_in_link"),
    path("password/forgot/", by_mail_views.forgot_password, name="forgot_password"),
    path("password/sent/", by_mail_views.forgot_password_sent, name="forgot_password_sent"),
    path("password/new/", by_mail_views.ResetPassword.as_view(), name="reset_password"),
    path("invitation/", by_mail_views.AcceptInvitation.as_view(), name="accept_invitation"),
    path("first/", first_admin.first_admin, name="first_admin"),
    path("logout/", views.sign_out, name="account_logout"),
    path("confirm/", views.fresh_sign_in, name="fresh_sign_in"),
    path("", profile_views.account, name="account"),
    path("sessions/", session_views.own_sessions, name="sessions"),
    path("sessions/end/", session_views.end_own_sessions, name="end_sessions"),
    path("users/<int:user_id>/", session_views.user_sign_in, name="user_sign_in"),
    path("factors/", views.Factors.as_view(), name="mfa_index"),
    path("factors/app/", views.set_up_totp, name="set_up_totp"),
    path("factors/key/", views.AddKey.as_view(), name="mfa_add_webauthn"),
    path("factors/<int:factor_id>/remove/", views.remove_factor, name="remove_factor"),
    path("factors/recovery-codes/", views.recovery_codes, name="recovery_codes"),
]
