"""Blocks → the model: what only shows when the parts are seen together is checked here."""

from __future__ import annotations

from gateway.config.blocks import File
from gateway.config.build import gateway as process
from gateway.config.build.accounts import accounts
from gateway.config.build.anonymous import check_found
from gateway.config.build.applications import applications
from gateway.config.build.channels import channel
from gateway.config.build.client_certificates import client_certificates
from gateway.config.build.context import Context
from gateway.config.build.extends import whole_plans
from gateway.config.build.introspection import check_readers
from gateway.config.build.listen import listen
from gateway.config.build.onward import check_onward, identity_tokens
from gateway.config.build.plans import plan
from gateway.config.build.saml import saml
from gateway.config.build.services import services
from gateway.config.build.sign_on import check_sign_in, sign_on
from gateway.config.build.store import store
from gateway.model import ClientTimeouts, Config, Drain


def build(file: File, context: Context) -> Config:
    """The configuration; `context` hears of everything that is wrong."""
    plans = whole_plans(file.plans, context)
    blocks = {name: whole.block for name, whole in plans.items()}
    check_sign_in(file.services, file.identity, context)
    check_found(file, blocks, context)
    built = {name: plan(whole, file.services, context) for name, whole in plans.items()}
    check_readers(file.services, file.identity, context)
    declared = services(file.services, file.gateway.limits.body, context)
    check_onward(file, declared, context)
    return Config(
        listen=listen(file.gateway, context),
        admin=file.gateway.admin or Config().admin,
        workers=process.workers(file.gateway, context),
        data=process.data(file.gateway, context),
        store=store(file.gateway.store, context),
        drain=Drain(**file.gateway.drain.model_dump()),
        trusted_proxies=tuple(file.gateway.trusted_proxies or ()),
        client_certificate=file.gateway.client_certificate,
        limits=process.limits(file.gateway.limits),
        timeouts=ClientTimeouts(**file.gateway.timeouts.model_dump()),
        sign_on=sign_on(file.gateway.sign_on, context),
        providers={
            name: process.provider(name, block.oidc, context)
            for name, block in file.identity.items()
            if block.oidc is not None
        },
        certificates={
            name: client_certificates(name, block.certificate, context)
            for name, block in file.identity.items()
            if block.certificate is not None
        },
        saml={name: saml(name, block.saml, context) for name, block in file.identity.items() if block.saml is not None},
        channels={name: channel(name, block, context) for name, block in file.alerts.channels.items()},
        identity_tokens=identity_tokens(file.gateway.identity_tokens),
        services=declared,
        plans=built,
        accounts=accounts(file.accounts, blocks, context),
        applications=applications(file, plans, built, context),
    )
