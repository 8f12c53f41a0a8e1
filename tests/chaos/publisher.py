"""Publishes chat messages as the platform's API does, with a client that knows nothing of this project.

Arguments: the broker's URL, how many tenants, how many conversations of each. For each line `N` on standard
input it publishes the next N messages and answers with a line. One message after another, each confirmed before
the next: what a lost connection leaves in doubt is published again, as Meta does with its webhooks.
"""

import json
import sys
import time

import pika

url, tenants, conversations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
persistent = pika.BasicProperties(delivery_mode=2, content_type="application/json", headers={})
channel = None


def connect():
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for exchange in ("metachat.orchestrator", "metachat.dlx"):
        channel.exchange_declare(exchange, "topic", durable=True)
    for tenant in range(tenants):
        key = f"tenant.t{tenant}.channel.webchat.inbound"
        queue = f"{key}.queue"
        arguments = {
            "x-dead-letter-exchange": "metachat.dlx",
            "x-dead-letter-routing-key": f"{queue}.dlq",
        }
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.queue_bind(queue, "metachat.orchestrator", key)
        channel.queue_declare(f"{queue}.dead-letter", durable=True)
        channel.queue_bind(f"{queue}.dead-letter", "metachat.dlx", f"{queue}.dlq")
    channel.confirm_delivery()
    return channel


def publish(number):
    """The next message of a conversation: they take turns."""
    global channel
    conversation = number % (tenants * conversations)
    tenant, turn = f"t{conversation % tenants}", number // (tenants * conversations)
    external = f"{tenant}.c{conversation}.{turn}"
    message = {
        "id": external,
        "externalId": external,
        "conversationId": f"{tenant}:c{conversation}",
        "direction": "inbound",
        "from": f"c{conversation}",
        "type": "text",
        "content": {"text": external},
        "metadata": {},
    }
    body = json.dumps({"type": "message.received", "message": message})
    while True:
        try:
            if channel is None:
                channel = connect()
            key = f"tenant.{tenant}.channel.webchat.inbound"
            channel.basic_publish("metachat.orchestrator", key, body, persistent, mandatory=True)
            return
        except (pika.exceptions.AMQPError, OSError):
            channel = None
            time.sleep(0.2)


published = 0
for line in sys.stdin:
    for _ in range(int(line)):
        publish(published)
        published += 1
    print(published, flush=True)
