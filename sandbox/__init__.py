"""Working stand-ins for Apple, Google and Twilio, and pretend phones, for the demo and the tests.

They speak the real protocols and keep the real rules, so that Leima needs no accounts to be seen and tested whole. They
are not for production: each program here refuses to start with production settings.
"""
