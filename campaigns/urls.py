"""The pages of a campaign beside its form; mounted at /campaigns/."""

from django.urls import path

from campaigns.views import audiences, figures, following, previewing, recipients, variants, writing

app_name = "campaigns"
urlpatterns = [
    path("figures/", figures.period, name="figures"),
    path("figures/<slug:table>.csv", figures.period_csv, name="figures_csv"),
    path("audience.json", audiences.audience, name="audience"),
    path("<int:campaign_id>/people/", audiences.people, name="people"),
    path("<int:campaign_id>/people/export/", audiences.export, name="people_export"),
    path("<int:campaign_id>/", following.progress, name="progress"),
    path("<int:campaign_id>/progress.json", following.progress_json, name="progress_json"),
    path("<int:campaign_id>/queue/", following.queue, name="queue"),
    path("<int:campaign_id>/pause/", following.pause, name="pause"),
    path("<int:campaign_id>/resume/", following.resume, name="resume"),
    path("<int:campaign_id>/cancel/", following.cancel, name="cancel"),
    path("<int:campaign_id>/retry/", following.retry, name="retry"),
    path("<int:campaign_id>/duplicate/", following.duplicate, name="duplicate"),
    path("<int:campaign_id>/preview/", previewing.preview, name="preview"),
    path("begin/", writing.begin, name="begin"),
    path("pictures.json", writing.pictures, name="pictures"),
    path("pictures/upload/", writing.upload, name="upload"),
    path("<int:campaign_id>/draft.json", writing.draft, name="draft"),
    path("<int:campaign_id>/text.json", writing.text, name="text"),
    path("<int:campaign_id>/preview/beside/", previewing.preview_beside, name="preview_beside"),
    path("<int:campaign_id>/preview/contacts.json", previewing.find_contact, name="find_contact"),
    path("<int:campaign_id>/preview/html/", previewing.preview_html, name="preview_html"),
    path("<int:campaign_id>/test/", previewing.send_test, name="send_test"),
    path("<int:campaign_id>/servers/", following.servers, name="servers"),
    path("<int:campaign_id>/variants/", variants.variants, name="variants"),
    path("<int:campaign_id>/variants/remove/", variants.remove_test, name="remove_test"),
    path("<int:campaign_id>/variants/choose/", variants.choose, name="choose"),
    path("<int:campaign_id>/report/", figures.campaign_report, name="report"),
    path("<int:campaign_id>/report/<slug:table>.csv", figures.campaign_csv, name="report_csv"),
    path("<int:campaign_id>/recipients/", recipients.recipients, name="recipients"),
    path("<int:campaign_id>/recipients/export/", recipients.export, name="export"),
    path("recipients/<int:message_id>/", recipients.recipient, name="recipient"),
    path("recipients/<int:message_id>/resend/", recipients.resend, name="resend"),
]
