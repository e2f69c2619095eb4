"""The form of an invitation: who, and with which role."""

from django import forms
from django.contrib.auth.models import Group, User
from django.utils.translation import gettext as _

from accounts import powers
from accounts.models import Invitation
from adminpages.text_fields import RefusesControls
from mail.addresses import AddressInvalid, domain_of, fold, is_reserved, parse_mailbox
from words.texts import translated


class RoleField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """The roles that may be given, each built-in one with what it is for."""

    def label_from_instance(self, obj: Group) -> str:
        return powers.role_in_words(obj)


class InvitationForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Invitation
        fields = ["first_name", "last_name", "email", "role"]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        try:
            domain = domain_of(parse_mailbox(email).address)
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from error
        if is_reserved(domain):
            said = _("%(domain)s is reserved for examples and gets no mail. Enter the person's real address.")
            raise forms.ValidationError(said % {"domain": domain})
        key = fold(email)
        if any(fold(user.email) == key for user in User.objects.filter(email__iexact=email)):
            raise forms.ValidationError(_("Someone with this address is a user already."))
        if any(fold(other.email) == key for other in Invitation.objects.filter(email__iexact=email)):
            raise forms.ValidationError(_("This address was invited already. Send that invitation again."))
        return email
