"""Who left everything is off every list as well: else lifting the suppression would bring all of them back."""

from django.db import migrations

LEFT = """
    FROM contacts_contact c JOIN contacts_suppression p ON p.email_key = c.email_key AND p.reason = 'unsubscribed'
"""
RECORD = f"""
    INSERT INTO contacts_consentevent (contact_id, list_id, list_name, status, method, source, wording, network, at)
    SELECT s.contact_id, s.list_id, l.name, 'unsubscribed', 'other', SUBSTR(p.source, 1, 200), '', '', p.created_at
    {LEFT} JOIN contacts_subscription s ON s.contact_id = c.id JOIN contacts_contactlist l ON l.id = s.list_id
    WHERE s.status <> 'unsubscribed'
"""
WITHDRAW = f"""
    UPDATE contacts_subscription SET status = 'unsubscribed',
        changed_at = (SELECT p.created_at {LEFT} WHERE c.id = contact_id),
        source = (SELECT SUBSTR(p.source, 1, 200) {LEFT} WHERE c.id = contact_id)
    WHERE status <> 'unsubscribed' AND contact_id IN (SELECT c.id {LEFT})
"""


class Migration(migrations.Migration):
    dependencies = [("contacts", "0005_contact_paused")]

    operations = [
        migrations.RunSQL(RECORD, migrations.RunSQL.noop),
        migrations.RunSQL(WITHDRAW, migrations.RunSQL.noop),
    ]
