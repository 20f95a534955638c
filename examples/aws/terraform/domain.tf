# A custom domain for the URLs of a class (spec.routing.domain). The operator maps its APIs to it.

resource "aws_acm_certificate" "domain" {
  count = var.domain_name == "" ? 0 : 1

  domain_name       = var.domain_name
  validation_method = "DNS"
  tags              = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = var.domain_name == "" || var.hosted_zone_id == "" ? {} : {
    for option in aws_acm_certificate.domain[0].domain_validation_options : option.domain_name => option
  }

  zone_id = var.hosted_zone_id
  name    = each.value.resource_record_name
  type    = each.value.resource_record_type
  ttl     = 300
  records = [each.value.resource_record_value]
}

# Without a zone it waits until you have added the record that ACM shows.
resource "aws_acm_certificate_validation" "domain" {
  count = var.domain_name == "" ? 0 : 1

  certificate_arn = aws_acm_certificate.domain[0].arn

  depends_on = [aws_route53_record.validation]
}

resource "aws_apigatewayv2_domain_name" "domain" {
  count = var.domain_name == "" ? 0 : 1

  domain_name = var.domain_name
  tags        = var.tags

  domain_name_configuration {
    certificate_arn = aws_acm_certificate_validation.domain[0].certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_route53_record" "domain" {
  count = var.domain_name == "" || var.hosted_zone_id == "" ? 0 : 1

  zone_id = var.hosted_zone_id
  name    = var.domain_name
  type    = "A"

  alias {
    name                   = aws_apigatewayv2_domain_name.domain[0].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.domain[0].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}
